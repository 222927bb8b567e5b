/** Administrators and their rights. */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { ADMIN_NAME, lookAlike, mixesScripts } from '../../model/account.ts';
import { rightsText } from '../../model/rights.ts';
import { RIGHTS, readRights } from '../auth/rights-schema.ts';
import type { HttpOptions, Records } from '../contract.ts';
import { Problem } from '../problem.ts';
import { EmptyBody, type HttpApp, MANAGE, problems, shape, Time } from '../schema.ts';
import { noteOf } from './audit.ts';

const tags = ['admins'];
const config = MANAGE;
const params = shape({ name: Type.String({ minLength: 1, maxLength: 64 }) });

const Name = Type.String({ pattern: ADMIN_NAME.source });
const Link = shape({
  token: Type.String({ description: 'Token of the one-time link /admin/link/TOKEN, valid for 15 minutes' }),
});

export function adminRoutes(app: HttpApp, options: HttpOptions): void {
  for (const route of [listAdmins, addAdmin, changeAdmin, removeAdmin, createLink]) route(app, options);
}

const Admin = shape({
  name: Type.String(),
  created: Time,
  hasPassword: Type.Boolean({ description: 'If false, the administrator signs in by link only' }),
  ...RIGHTS,
});

function listAdmins(app: HttpApp, { store }: HttpOptions): void {
  app.get(
    '/v1/admins',
    {
      config,
      schema: { tags, summary: 'All administrators', response: { 200: shape({ admins: Type.Array(Admin) }) } },
    },
    async () => ({ admins: (await store.admins()).map(shownAdmin) }),
  );
}

function shownAdmin({ name, created, password, ...rights }: Awaited<ReturnType<Records['admins']>>[number]) {
  return { name, created, hasPassword: password !== null, ...rights };
}

function addAdmin(app: HttpApp, { store }: HttpOptions): void {
  app.post(
    '/v1/admins',
    {
      config,
      schema: {
        tags,
        summary: 'Add an administrator and create a one-time sign-in link',
        body: shape({ name: Name, ...RIGHTS }),
        response: { 201: Link, ...problems(400, 401, 403, 404, 409) },
      },
    },
    async (request, reply) => {
      const { name: given, ...rights } = request.body;
      const name = given.normalize('NFC');
      if (mixesScripts(name))
        throw new Problem(400, 'bad-request', 'The name mixes scripts with letters that look alike in one word.');
      const read = await readRights(store, rights);
      const known = lookAlike(await store.admins(), name);
      if (known !== undefined)
        throw new Problem(409, 'admin-exists', `The name looks like the existing administrator ${known}.`);
      const note = noteOf(request, 'admin-added', `${name}, ${rightsText(read)}`);
      if (!(await store.addAdmin(name, Date.now(), read, note)))
        throw new Problem(409, 'admin-exists', `Administrator ${name} already exists.`);
      reply.code(201);
      return linkFor(store, request, name);
    },
  );
}

function changeAdmin(app: HttpApp, { store }: HttpOptions): void {
  app.put(
    '/v1/admins/:name',
    {
      config,
      schema: {
        tags,
        summary: "Change an administrator's role and sites, also for open streams",
        params,
        body: shape(RIGHTS),
        response: { 204: EmptyBody, ...problems(400, 401, 403, 404, 409) },
      },
    },
    async (request, reply) => {
      const name = nameOf(request);
      const rights = await readRights(store, request.body);
      check(await store.setRights(name, rights, noteOf(request, 'admin-changed', `${name}, ${rightsText(rights)}`)));
      return reply.code(204).send(null);
    },
  );
}

function removeAdmin(app: HttpApp, { store }: HttpOptions): void {
  app.delete(
    '/v1/admins/:name',
    {
      config,
      schema: {
        tags,
        summary: 'Remove an administrator and end their sessions and streams',
        params,
        response: { 204: EmptyBody, ...problems(401, 403, 404, 409) },
      },
    },
    async (request, reply) => {
      const name = nameOf(request);
      check(await store.removeAdmin(name, noteOf(request, 'admin-removed', name)));
      return reply.code(204).send(null);
    },
  );
}

function createLink(app: HttpApp, { store }: HttpOptions): void {
  app.post(
    '/v1/admins/:name/link',
    {
      config,
      schema: {
        tags,
        summary: 'Create a one-time link that signs an administrator in',
        params,
        response: { 201: Link, ...problems(401, 403, 404) },
      },
    },
    async (request, reply) => {
      reply.code(201);
      return linkFor(store, request, nameOf(request));
    },
  );
}

async function linkFor(store: Records, request: FastifyRequest, name: string): Promise<{ token: string }> {
  const token = await store.addLink(name, Date.now(), noteOf(request, 'link-made', name));
  if (token === undefined) throw unknownAdmin();
  return { token };
}

/** The name in the URL, in one normal form for all keyboards. */
function nameOf({ params }: { params: { name: string } }): string {
  return params.name.normalize('NFC');
}

function check(outcome: 'done' | 'unknown' | 'last-owner'): void {
  if (outcome === 'unknown') throw unknownAdmin();
  if (outcome === 'last-owner')
    throw new Problem(409, 'last-owner', 'This is the last owner. Make another administrator an owner first.');
}

function unknownAdmin(): Problem {
  return new Problem(404, 'unknown-admin', 'There is no such administrator.');
}
