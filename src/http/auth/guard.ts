/** Who asks, and what that may do. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { may, type Need, OWNER, type Rights, sees } from '../../model/rights.ts';
import { isOwnOrigin, SITE_KEY, type Site } from '../../model/site.ts';
import type { HttpOptions, Identity, Records } from '../contract.ts';
import type { Client } from '../peer.ts';
import { Problem } from '../problem.ts';
import type { HttpApp } from '../schema.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `guard`. */
    identity: Identity | null;
    /** Of API requests: read once, before anything else. */
    client: Client;
    /** Of API requests: how the session's cookie is called and set. */
    sessionCookie: SessionCookie;
    /** The site in the query of a request by somebody; set by `checkNeeds`. */
    site: Promise<Site | undefined> | undefined;
  }
  interface FastifyContextConfig {
    /** What the route is for; every route behind `guard` says it. */
    needs?: Need;
  }
}

/** Cookies live as long as a session that is never used again. */
const COOKIE_AGE_S = 30 * 24 * 3600;
/** So many cookies of our name are tried: a browser may send one that is out of date, or of another path, as well. */
const MAX_COOKIES = 4;

export interface SessionCookie {
  name: string;
  options: { path: string; httpOnly: true; sameSite: 'lax'; secure: boolean };
}

/**
 * The recogniser of requests. A bearer token, where there is one, decides; else the cookie does. Credentials of other
 * schemes, such as Basic, are for a proxy in front of us, and mean nothing here.
 */
export function recogniser({ config, store }: HttpOptions): (request: FastifyRequest) => Promise<Identity | undefined> {
  const given = config.token === '' ? undefined : digest(config.token);
  return async (request) => {
    const now = Date.now();
    const { headers } = request;
    if (hasToken(headers)) return byToken(tokenOf(headers), now);
    const found = await Promise.all(cookiesOf(request).map((cookie) => byCookie(cookie, now)));
    return found.find((identity) => identity !== undefined);
  };

  async function byCookie(cookie: string, now: number): Promise<Identity | undefined> {
    const credential = sessionCredential(store.sessionId(cookie));
    const [session, rights] = await Promise.all([store.session(cookie, now), store.rights(credential, now)]);
    if (session === undefined || rights === undefined) return undefined;
    const { id, name, expires } = session;
    return { name, via: 'session', credential, rights, session: id, expires };
  }

  async function byToken(secret: string | undefined, now: number): Promise<Identity | undefined> {
    if (secret === undefined) return undefined;
    const known = { via: 'token', session: undefined, expires: null } as const;
    if (given !== undefined && timingSafeEqual(digest(secret), given))
      return { ...known, name: 'FIELDMOUSE_TOKEN', credential: 'env', rights: OWNER };
    const token = await store.token(secret, now);
    if (token === undefined) return undefined;
    const { id, name, role, sites } = token;
    return { ...known, name, credential: `token:${id}`, rights: { role, sites } };
  }
}

/**
 * Lets those through to the routes of a scope who may do what they are for. A route without `needs` is refused when it is added,
 * and one that has a `site` in its query gets only sites that there are and that who asks may see: one as the other is
 * unknown, so that names of others' sites cannot be found out.
 */
export function guard(scope: HttpApp, store: Records, recognise: ReturnType<typeof recogniser>): void {
  scope.addHook('onRoute', ({ config, method, url }) => {
    if (config?.needs === undefined) throw new Error(`${method} ${url} does not say what it needs`);
  });
  scope.addHook('onRequest', (request) => checkNeeds(request, store, recognise));
  scope.addHook('preHandler', async (request) => {
    await checkSite(request);
  });
}

/** Recognises who asks. Throws Problem where that may not do what the route is for. */
export async function checkNeeds(
  request: FastifyRequest,
  store: Records,
  recognise: ReturnType<typeof recogniser>,
): Promise<void> {
  // Asked for at the same time as who asks, since Redis may be far away. It is told to nobody who may not see it.
  if (isClaimed(request)) request.site = siteIn(request, store);
  request.identity = (await recognise(request)) ?? null;
  if (!may(requestRights(request), request.routeOptions.config.needs as Need)) throw forbidden();
}

/** The site that is asked for, if one is. Throws Problem where there is no such site, or not for who asks. */
export async function checkSite(request: FastifyRequest): Promise<Site | undefined> {
  const key = siteKeyIn(request);
  if (key === undefined) return undefined;
  const site = sees(requestRights(request), key) ? await request.site : undefined;
  if (site === undefined) throw unknownSite();
  return site;
}

/** Of a route that knows no such parameter it may be anything. */
function siteKeyIn({ query }: FastifyRequest): string | undefined {
  const { site } = query as { site?: unknown };
  return typeof site === 'string' ? site : undefined;
}

function siteIn(request: FastifyRequest, store: Records): Promise<Site | undefined> | undefined {
  const key = siteKeyIn(request);
  if (key === undefined || !SITE_KEY.test(key)) return undefined;
  const site = store.site(key);
  // A request that is refused does not wait for it.
  site.catch(() => {});
  return site;
}

/** True if a request shows a token or a cookie, good or not. */
function isClaimed(request: FastifyRequest): boolean {
  return hasToken(request.headers) || cookiesOf(request).length > 0;
}

/** What a request would be by, if it is by anybody: its session's or token's name, as far as that is found without the store. */
export function claimedCredential(request: FastifyRequest, store: Records): string | undefined {
  if (request.identity !== null) return request.identity.credential;
  const [cookie] = hasToken(request.headers) ? [] : cookiesOf(request);
  return cookie ? sessionCredential(store.sessionId(cookie)) : undefined;
}

/** Who has a stream or a replay, for limits: the account with all its sessions, or the token, and the address. */
export function holdersOf(request: FastifyRequest, store: Records): string[] {
  const { identity, client } = request;
  const account = identity?.via === 'session' ? `admin:${identity.name}` : claimedCredential(request, store);
  return [account ?? '', `address:${client.address}`];
}

function sessionCredential(id: string): string {
  return `session:${id}`;
}

export function forbidden(): Problem {
  return new Problem(403, 'forbidden', 'You have read-only access. Ask an owner to do this.');
}

export function unknownSite(): Problem {
  return new Problem(404, 'unknown-site', 'There is no such site.');
}

/** Equal lengths make the comparison's time tell nothing. */
function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** True if a request shows a bearer token, good or not: its cookie then does not count. */
export function hasToken({ authorization = '' }: IncomingHttpHeaders): boolean {
  return /^bearer(\s|$)/i.test(authorization);
}

function tokenOf({ authorization = '' }: IncomingHttpHeaders): string | undefined {
  return /^bearer +([\x21-\x7e]{1,256})$/i.exec(authorization)?.[1];
}

export function signedOut(): Problem {
  return new Problem(401, 'signed-out', 'Sign in first.', { 'www-authenticate': 'Bearer realm="fieldmouse"' });
}

/** The identity of a request that `guard` let through. Throws Problem 401 where there is none. */
export function identityOf(request: FastifyRequest): Identity {
  if (request.identity === null) throw signedOut();
  return request.identity;
}

/** The rights of a request that was let through. */
export function requestRights(request: FastifyRequest): Rights {
  return identityOf(request).rights;
}

/**
 * Refuses what another site's page sends by a visitor's browser. Browsers say where a request comes from by
 * Sec-Fetch-Site (over https and on localhost) or else by Origin; a client that sends neither is no browser
 * and has no cookie of somebody else's. A request with a bearer token cannot be forged that way, and has no use of the
 * cookie. Credentials of other schemes prove nothing: a browser adds those for Basic to a forged request by itself.
 */
export function refuseCrossSite({ method, headers, client }: FastifyRequest): void {
  if (method === 'GET' || method === 'HEAD' || hasToken(headers)) return;
  const { origin, 'sec-fetch-site': from } = headers;
  const isOwn = from !== undefined ? from === 'same-origin' : origin === undefined || isOwnOrigin(origin, client.host);
  if (!isOwn) throw new Problem(403, 'cross-site', 'This request is only allowed from the dashboard itself.');
}

/**
 * The cookie of a server under a base path is only for that path: servers under two paths of one host have a session
 * each. Over https, browsers accept a name with `__Secure-` from https only, and one with `__Host-` from this host
 * only. `__Host-` demands the path `/` (RFC 6265bis section 4.1.3).
 */
export function sessionCookie({ isSecure }: Client, basePath: string): SessionCookie {
  const prefix = basePath === '' ? '__Host-' : '__Secure-';
  return {
    name: `${isSecure ? prefix : ''}fieldmouse`,
    options: { path: basePath || '/', httpOnly: true, sameSite: 'lax', secure: isSecure },
  };
}

/** The values of the cookies of our name, in their order: browsers send the one with the longest path first. */
function cookiesOf({ headers, sessionCookie: { name } }: FastifyRequest): string[] {
  return (headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`))
    .slice(0, MAX_COOKIES)
    .map((pair) => pair.slice(name.length + 1));
}

export function setSessionCookie({ sessionCookie }: FastifyRequest, reply: FastifyReply, secret: string): void {
  reply.setCookie(sessionCookie.name, secret, { ...sessionCookie.options, maxAge: COOKIE_AGE_S });
}

/** Sends the session's cookie again, because the session now ends later. */
export function renewSessionCookie(request: FastifyRequest, reply: FastifyReply, store: Records): void {
  const session = request.identity?.session;
  const secret = cookiesOf(request).find((cookie) => store.sessionId(cookie) === session);
  if (secret !== undefined) setSessionCookie(request, reply, secret);
}

export function clearSessionCookie({ sessionCookie }: FastifyRequest, reply: FastifyReply): void {
  reply.clearCookie(sessionCookie.name, sessionCookie.options);
}
