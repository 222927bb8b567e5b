/** Administrators: who they are, and what each may see and do. */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { ADMIN_NAME, lookAlike, mixesScripts } from '../protocol/account.ts';
import { rightsText } from '../protocol/rights.ts';
import { noteOf } from './audit.ts';
import type { HttpOptions } from './contract.ts';
import { Problem } from './problem.ts';
import { RIGHTS, readRights } from './rights.ts';
import { type App, Empty, MANAGE, problems, shape, Time } from './schema.ts';

const Name = Type.String({ pattern: ADMIN_NAME.source });
const Admin = shape({
  name: Type.String(),
  created: Time,
  hasPassword: Type.Boolean({ description: 'Else signs in by link only' }),
  ...RIGHTS,
});
const Link = shape({
  token: Type.String({ description: 'Of the one-time link /admin/link/TOKEN, good for 15 minutes' }),
});

export function adminRoutes(app: App, { store }: HttpOptions): void {
  const tags = ['admins'];
  const config = MANAGE;
  const params = shape({ name: Type.String({ minLength: 1, maxLength: 64 }) });

  app.get(
    '/v1/admins',
    {
      config,
      schema: { tags, summary: 'All administrators', response: { 200: shape({ admins: Type.Array(Admin) }) } },
    },
    async () => ({ admins: (await store.admins()).map(shownAdmin) }),
  );

  app.post(
    '/v1/admins',
    {
      config,
      schema: {
        tags,
        summary: 'Add an administrator, who signs in by a one-time link',
        body: shape({ name: Name, ...RIGHTS }),
        response: { 201: Link, ...problems(400, 401, 403, 404, 409) },
      },
    },
    async (request, reply) => {
      const { name: given, ...rights } = request.body;
      const name = given.normalize('NFC');
      if (mixesScripts(name))
        throw new Problem(400, 'bad-request', 'The name has a word with letters of several scripts that look alike.');
      const read = await readRights(store, rights);
      const known = lookAlike(await store.admins(), name);
      if (known !== undefined)
        throw new Problem(409, 'admin-exists', `The name looks like that of the administrator ${known}.`);
      const note = noteOf(request, 'admin-added', `${name}, ${rightsText(read)}`);
      if (!(await store.addAdmin(name, Date.now(), read, note)))
        throw new Problem(409, 'admin-exists', `There is an administrator ${name} already.`);
      reply.code(201);
      return linkFor(request, name);
    },
  );

  app.put(
    '/v1/admins/:name',
    {
      config,
      schema: {
        tags,
        summary: 'Give an administrator another role and other sites; open streams follow',
        params,
        body: shape(RIGHTS),
        response: { 204: Empty, ...problems(400, 401, 403, 404, 409) },
      },
    },
    async (request, reply) => {
      const name = nameOf(request);
      const rights = await readRights(store, request.body);
      check(await store.setRights(name, rights, noteOf(request, 'admin-changed', `${name}, ${rightsText(rights)}`)));
      return reply.code(204).send(null);
    },
  );

  app.delete(
    '/v1/admins/:name',
    {
      config,
      schema: {
        tags,
        summary: 'Remove an administrator, with all sessions and streams',
        params,
        response: { 204: Empty, ...problems(401, 403, 404, 409) },
      },
    },
    async (request, reply) => {
      const name = nameOf(request);
      check(await store.removeAdmin(name, noteOf(request, 'admin-removed', name)));
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/admins/:name/link',
    {
      config,
      schema: {
        tags,
        summary: 'Make a one-time link that signs an administrator in',
        params,
        response: { 201: Link, ...problems(401, 403, 404) },
      },
    },
    async (request, reply) => {
      reply.code(201);
      return linkFor(request, nameOf(request));
    },
  );

  async function linkFor(request: FastifyRequest, name: string): Promise<{ token: string }> {
    const token = await store.addLink(name, Date.now(), noteOf(request, 'link-made', name));
    if (token === undefined) throw unknownAdmin();
    return { token };
  }
}

/** The name in the address. Each letter is written in one way, whatever keyboard it came from. */
function nameOf({ params }: { params: { name: string } }): string {
  return params.name.normalize('NFC');
}

function shownAdmin({
  name,
  created,
  password,
  ...rights
}: Awaited<ReturnType<HttpOptions['store']['admins']>>[number]) {
  return { name, created, hasPassword: password !== null, ...rights };
}

function check(outcome: 'done' | 'unknown' | 'last-owner'): void {
  if (outcome === 'unknown') throw unknownAdmin();
  if (outcome === 'last-owner')
    throw new Problem(409, 'last-owner', 'This is the last owner: make somebody else one first.');
}

function unknownAdmin(): Problem {
  return new Problem(404, 'unknown-admin', 'There is no such administrator.');
}
