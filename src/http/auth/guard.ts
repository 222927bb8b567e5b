/** Authentication and authorisation of requests. */
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
    /** For API requests; set before anything else. */
    client: Client;
    /** For API requests: the name and attributes of the session cookie. */
    sessionCookie: SessionCookie;
    /** The site in the query of an authenticated request; set by `checkNeeds`. */
    site: Promise<Site | undefined> | undefined;
  }
  interface FastifyContextConfig {
    /** The permission that the route needs; every route behind `guard` declares one. */
    needs?: Need;
  }
}

/** Cookies live as long as an unused session. */
const COOKIE_AGE_S = 30 * 24 * 3600;
/**
 * Maximum number of cookies with our name that are tried: a browser may also send an outdated one, or one of another
 * path.
 */
const MAX_COOKIES = 4;

export interface SessionCookie {
  name: string;
  options: { path: string; httpOnly: true; sameSite: 'lax'; secure: boolean };
}

/**
 * Returns a function that finds the identity of a request. A bearer token decides if there is one, otherwise the
 * cookie. Credentials of other schemes, such as Basic, are for a proxy in front of us and are ignored here.
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
 * Lets a request reach the routes of a scope only if it has the permission that the route needs. Adding a route without
 * `needs` throws. A route with `site` in its query gets only existing sites that the caller may see. Both cases get the
 * same 404, so that names of others' sites cannot be found out.
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

/** Authenticates a request. Throws Problem if it lacks the permission that the route needs. */
export async function checkNeeds(
  request: FastifyRequest,
  store: Records,
  recognise: ReturnType<typeof recogniser>,
): Promise<void> {
  // Looked up at the same time as the identity, because Redis may be far away. The result is not shown to a caller
  // without access.
  if (isClaimed(request)) request.site = siteIn(request, store);
  request.identity = (await recognise(request)) ?? null;
  if (!may(requestRights(request), request.routeOptions.config.needs as Need)) throw forbidden();
}

/** The requested site, if any. Throws Problem if the site does not exist or the caller may not see it. */
export async function checkSite(request: FastifyRequest): Promise<Site | undefined> {
  const key = siteKeyIn(request);
  if (key === undefined) return undefined;
  const site = sees(requestRights(request), key) ? await request.site : undefined;
  if (site === undefined) throw unknownSite();
  return site;
}

/** Unknown type: the route's schema may not have this parameter. */
function siteKeyIn({ query }: FastifyRequest): string | undefined {
  const { site } = query as { site?: unknown };
  return typeof site === 'string' ? site : undefined;
}

function siteIn(request: FastifyRequest, store: Records): Promise<Site | undefined> | undefined {
  const key = siteKeyIn(request);
  if (key === undefined || !SITE_KEY.test(key)) return undefined;
  const site = store.site(key);
  // A refused request does not await it.
  site.catch(() => {});
  return site;
}

/** True if a request has a token or a cookie, valid or not. */
function isClaimed(request: FastifyRequest): boolean {
  return hasToken(request.headers) || cookiesOf(request).length > 0;
}

/** The session or token that a request claims, as far as it can be derived without the store. */
export function claimedCredential(request: FastifyRequest, store: Records): string | undefined {
  if (request.identity !== null) return request.identity.credential;
  const [cookie] = hasToken(request.headers) ? [] : cookiesOf(request);
  return cookie ? sessionCredential(store.sessionId(cookie)) : undefined;
}

/** The holders of a stream or replay, for limits: the account with all its sessions, or the token, and the address. */
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

/** Hashed to equal lengths for a timing-safe comparison. */
function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** True if a request has a bearer token, valid or not: then its cookie is ignored. */
export function hasToken({ authorization = '' }: IncomingHttpHeaders): boolean {
  return /^bearer(\s|$)/i.test(authorization);
}

function tokenOf({ authorization = '' }: IncomingHttpHeaders): string | undefined {
  return /^bearer +([\x21-\x7e]{1,256})$/i.exec(authorization)?.[1];
}

export function signedOut(): Problem {
  return new Problem(401, 'signed-out', 'Sign in first.', { 'www-authenticate': 'Bearer realm="fieldmouse"' });
}

/** The identity of a request that passed `guard`. Throws Problem 401 if there is none. */
export function identityOf(request: FastifyRequest): Identity {
  if (request.identity === null) throw signedOut();
  return request.identity;
}

/** The rights of a request that passed `guard`. */
export function requestRights(request: FastifyRequest): Rights {
  return identityOf(request).rights;
}

/**
 * Refuses requests that another site's page makes in a user's browser (CSRF). Browsers state the origin of a request in
 * Sec-Fetch-Site (over https and on localhost) or else in Origin. A client that sends neither is not a browser and has
 * no one else's cookie. A request with a bearer token cannot be forged that way, and does not use the cookie.
 * Credentials of other schemes prove nothing: a browser adds Basic credentials to a forged request by itself.
 */
export function refuseCrossSite({ method, headers, client }: FastifyRequest): void {
  if (method === 'GET' || method === 'HEAD' || hasToken(headers)) return;
  const { origin, 'sec-fetch-site': from } = headers;
  const isOwn = from !== undefined ? from === 'same-origin' : origin === undefined || isOwnOrigin(origin, client.host);
  if (!isOwn) throw new Problem(403, 'cross-site', 'This request is only allowed from the dashboard itself.');
}

/**
 * The cookie of a server under a base path is limited to that path: servers under two paths of one host have separate
 * sessions. Over https, browsers accept the prefix `__Secure-` from https only, and `__Host-` from this host only.
 * `__Host-` requires the path `/` (RFC 6265bis section 4.1.3).
 */
export function sessionCookie({ isSecure }: Client, basePath: string): SessionCookie {
  const prefix = basePath === '' ? '__Host-' : '__Secure-';
  return {
    name: `${isSecure ? prefix : ''}fieldmouse`,
    options: { path: basePath || '/', httpOnly: true, sameSite: 'lax', secure: isSecure },
  };
}

/** The values of the cookies with our name, in their order: browsers send the longest path first. */
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

/** Sends the session cookie again, because the session now ends later. */
export function renewSessionCookie(request: FastifyRequest, reply: FastifyReply, store: Records): void {
  const session = request.identity?.session;
  const secret = cookiesOf(request).find((cookie) => store.sessionId(cookie) === session);
  if (secret !== undefined) setSessionCookie(request, reply, secret);
}

export function clearSessionCookie({ sessionCookie }: FastifyRequest, reply: FastifyReply): void {
  reply.clearCookie(sessionCookie.name, sessionCookie.options);
}
