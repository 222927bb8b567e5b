/** Signing in and out, passwords, and the list of sessions. */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ACTOR } from '../../model/audit.ts';
import { may } from '../../model/rights.ts';
import { countAttempts, tryOnce } from '../auth/attempt-limit.ts';
import { agentText } from '../auth/browser-name.ts';
import {
  clearSessionCookie,
  identityOf,
  type recogniser,
  renewSessionCookie,
  setSessionCookie,
  signedOut,
} from '../auth/guard.ts';
import { checkPassword, hashPassword, PASSWORD_LIMIT } from '../auth/password.ts';
import { RIGHTS } from '../auth/rights-schema.ts';
import type { HttpOptions, Identity, Records } from '../contract.ts';
import { Problem } from '../problem.ts';
import { EmptyBody, type HttpApp, OWN, shape, Time, TimeOrNull } from '../schema.ts';
import { noteOf } from './audit.ts';

const tags = ['sign-in'];

const Who = shape({
  name: Type.String({ description: 'Name of the administrator or the token' }),
  via: Type.Union([Type.Literal('session'), Type.Literal('token')]),
  hasPassword: Type.Boolean(),
  expires: TimeOrNull,
  ...RIGHTS,
});

const Secret = Type.String({ minLength: 1, maxLength: PASSWORD_LIMIT.most });

interface Means {
  options: HttpOptions;
  recognise: ReturnType<typeof recogniser>;
}

/** Routes that work without being signed in. */
export function signInRoutes(app: HttpApp, means: Means): void {
  signInByPassword(app, means);
  signInByLink(app, means);
}

function signInByPassword(app: HttpApp, means: Means): void {
  const { store } = means.options;
  app.post(
    '/v1/session',
    {
      schema: {
        tags,
        summary: 'Sign in with a password',
        security: [],
        body: shape({ name: Type.String({ minLength: 1, maxLength: 64 }), password: Secret }),
        response: { 201: Who },
      },
    },
    async (request, reply) => {
      const { name: given, password } = request.body;
      const name = given.normalize('NFC');
      const attempts = [countAttempts('address', request.client.address), countAttempts('name', name)];
      const asked = store.admin(name);
      // It is awaited after the attempt has been counted.
      asked.catch(() => {});
      if (!(await tryOnce(store, attempts, async () => checkPassword(password, (await asked)?.password)))) {
        await noteRefused(store, (await asked)?.name, 'by password');
        throw new Problem(401, 'wrong-password', 'Wrong name or password.');
      }
      return signIn(means, request, reply, name, 'by password');
    },
  );
}

function signInByLink(app: HttpApp, means: Means): void {
  const { store } = means.options;
  app.post(
    '/v1/session/link',
    {
      schema: {
        tags,
        summary: 'Sign in with a one-time link',
        security: [],
        body: shape({ token: Secret }),
        response: { 201: Who },
      },
    },
    async (request, reply) => {
      // Not by name: somebody who guesses a password must not lock out the owner's link.
      const attempts = [countAttempts('address', request.client.address)];
      const name = await tryOnce(store, attempts, () => store.takeLink(request.body.token, Date.now()));
      if (name === undefined) {
        await noteRefused(store, undefined, 'by link');
        throw new Problem(401, 'bad-link', 'This link was already used, is older than 15 minutes, or is not valid.');
      }
      return signIn(means, request, reply, name, 'by link');
    },
  );
}

/** An unknown name may be a password typed into the wrong field: it is not stored. */
function noteRefused(store: Records, name: string | undefined, how: string): Promise<void> {
  return store.note({ at: Date.now(), who: name ?? ACTOR.unknown, what: 'sign-in-refused', on: how });
}

async function signIn(
  { options: { store }, recognise }: Means,
  request: FastifyRequest,
  reply: FastifyReply,
  name: string,
  how: string,
) {
  const before = await recognise(request);
  if (before?.session !== undefined) await store.removeSession(before.session);
  const now = Date.now();
  const from = agentText(request.headers['user-agent']);
  const [made, admin] = await Promise.all([
    store.addSession(name, from, now, { at: now, who: name, what: 'signed-in', on: how, from }),
    store.admin(name),
  ]);
  // The account was removed meanwhile.
  if (made === undefined || admin === undefined) throw signedOut();
  setSessionCookie(request, reply, made.secret);
  const { password, role, sites } = admin;
  reply.code(201);
  const { expires } = made.session;
  return { name, via: 'session' as const, hasPassword: password !== null, expires, role, sites };
}

/** Routes for signed-in callers. */
export function sessionRoutes(app: HttpApp, options: HttpOptions): void {
  for (const route of [showSession, signOut, changePassword, listSessions, endSession]) route(app, options);
}

function showSession(app: HttpApp, { store }: HttpOptions): void {
  app.get(
    '/v1/session',
    { config: OWN, schema: { tags, summary: 'Who is signed in', response: { 200: Who } } },
    async (request, reply) => {
      const { name, via, expires, rights } = identityOf(request);
      if (via === 'session') renewSessionCookie(request, reply, store);
      const admin = via === 'session' ? await store.admin(name) : undefined;
      return { name, via, hasPassword: (admin?.password ?? null) !== null, expires, ...rights };
    },
  );
}

function signOut(app: HttpApp, { store }: HttpOptions): void {
  app.delete(
    '/v1/session',
    { config: OWN, schema: { tags, summary: 'Sign out', response: { 204: EmptyBody } } },
    async (request, reply) => {
      const { id, name } = personOf(request);
      await store.removeSession(id, noteOf(request, 'signed-out', name));
      clearSessionCookie(request, reply);
      return reply.code(204).send(null);
    },
  );
}

const Password = Type.String({ minLength: PASSWORD_LIMIT.least, maxLength: PASSWORD_LIMIT.most });

function changePassword(app: HttpApp, { store }: HttpOptions): void {
  app.put(
    '/v1/password',
    {
      config: OWN,
      schema: {
        tags,
        summary: 'Set or change your password; your other sessions end',
        body: shape({ current: Type.Optional(Secret), password: Password }),
        response: { 204: EmptyBody },
      },
    },
    async (request, reply) => {
      const { id, name } = personOf(request);
      await checkCurrent(store, name, request.body.current);
      const hash = await hashPassword(request.body.password);
      if (!(await store.setPassword(name, hash, noteOf(request, 'password-set', name)))) throw signedOut();
      await store.removeSessions(name, id);
      return reply.code(204).send(null);
    },
  );
}

const Session = shape({
  id: Type.String(),
  name: Type.String({ description: 'Name of the administrator' }),
  created: Time,
  lastSeen: Time,
  expires: Time,
  agent: Type.String({ description: 'Short description of the browser' }),
  current: Type.Boolean({ description: 'True for the session of this request' }),
});

function listSessions(app: HttpApp, { store }: HttpOptions): void {
  app.get(
    '/v1/sessions',
    {
      config: OWN,
      schema: {
        tags,
        summary: 'All sessions; viewers get only their own',
        response: { 200: shape({ sessions: Type.Array(Session) }) },
      },
    },
    async (request) => {
      const current = identityOf(request).session;
      const sessions = await sessionsOf(store, identityOf(request));
      sessions.sort((a, b) => b.lastSeen - a.lastSeen);
      return { sessions: sessions.map((session) => ({ ...session, current: session.id === current })) };
    },
  );
}

function endSession(app: HttpApp, { store }: HttpOptions): void {
  app.delete(
    '/v1/sessions/:id',
    {
      config: OWN,
      schema: {
        tags,
        summary: 'End a session and its streams',
        params: shape({ id: Type.String({ maxLength: 64 }) }),
        response: { 204: EmptyBody },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const session = (await sessionsOf(store, identityOf(request))).find((one) => one.id === id);
      if (!session || !(await store.removeSession(id, noteOf(request, 'session-ended', session.name))))
        throw new Problem(404, 'unknown-session', 'There is no such session.');
      return reply.code(204).send(null);
    },
  );
}

/** The sessions that the caller may see and end. A viewer's token may have the name of another account. */
async function sessionsOf(store: Records, { name, via, rights }: Identity) {
  const sessions = await store.sessions(Date.now());
  if (may(rights, 'manage')) return sessions;
  return via === 'session' ? sessions.filter((session) => session.name === name) : [];
}

/** Somebody at an unlocked screen must not be able to guess the password either. */
async function checkCurrent(store: Records, name: string, current: string | undefined): Promise<void> {
  const admin = await store.admin(name);
  if (admin === undefined) throw signedOut();
  if (admin.password === null) return;
  const check = () => checkPassword(current ?? '', admin.password);
  if (await tryOnce(store, [countAttempts('name', name)], check)) return;
  await store.note({ at: Date.now(), who: name, what: 'sign-in-refused', on: 'to change the password' });
  throw new Problem(403, 'wrong-password', 'The current password is wrong.');
}

/** The person who is signed in; a token has neither session nor password. */
function personOf(request: FastifyRequest): { id: string; name: string } {
  const { session, name }: Identity = identityOf(request);
  if (session === undefined)
    throw new Problem(403, 'not-for-tokens', 'This requires a signed-in administrator. API tokens cannot do it.');
  return { id: session, name };
}
