/** Who asks, and whether the request may change anything. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isOwnOrigin } from '../protocol/site.ts';
import type { HttpOptions, Identity } from './contract.ts';
import { Problem } from './problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by `signedIn`. */
    identity: Identity | null;
  }
}

/** Cookies live as long as a session that is never used again. */
const COOKIE_AGE_S = 30 * 24 * 3600;

/** The recogniser of requests. A bearer token, where there is one, decides; else the cookie does. */
export function recogniser({ config, store }: HttpOptions): (request: FastifyRequest) => Promise<Identity | undefined> {
  const given = config.token === '' ? undefined : digest(config.token);
  return async (request) => {
    const now = Date.now();
    const { authorization } = request.headers;
    if (authorization !== undefined) return byToken(bearer(authorization), now);
    const cookie = request.cookies[cookieName(request)];
    const session = cookie === undefined ? undefined : await store.session(cookie, now);
    if (session === undefined) return undefined;
    const { id, name, expires } = session;
    return { name, via: 'session', credential: `session:${id}`, session: id, expires };
  };

  async function byToken(secret: string | undefined, now: number): Promise<Identity | undefined> {
    if (secret === undefined) return undefined;
    const known = { via: 'token', session: undefined, expires: null } as const;
    if (given !== undefined && timingSafeEqual(digest(secret), given))
      return { ...known, name: 'FIELDMOUSE_TOKEN', credential: 'env' };
    const token = await store.token(secret, now);
    return token && { ...known, name: token.name, credential: `token:${token.id}` };
  }
}

/** Equal lengths make the comparison's time tell nothing. */
function digest(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function bearer(authorization: string): string | undefined {
  return /^bearer +([\x21-\x7e]{1,256})$/i.exec(authorization)?.[1];
}

export function signedOut(): Problem {
  return new Problem(401, 'signed-out', 'Sign in first.', { 'www-authenticate': 'Bearer realm="fieldmouse"' });
}

/** The identity of a request that `signedIn` let through. */
export function identityOf(request: FastifyRequest): Identity {
  if (request.identity === null) throw signedOut();
  return request.identity;
}

/**
 * Refuses what another site's page sends by a visitor's browser. Browsers say where a request comes from by
 * Sec-Fetch-Site (over https and on localhost) or else by Origin; a client that sends neither is no browser
 * and has no cookie of somebody else's. A request with a bearer token cannot be forged that way.
 */
export function refuseCrossSite(request: FastifyRequest, host: string | undefined): void {
  if (request.method === 'GET' || request.method === 'HEAD' || request.headers.authorization !== undefined) return;
  const from = request.headers['sec-fetch-site'];
  const { origin } = request.headers;
  const isOwn = from !== undefined ? from === 'same-origin' : origin === undefined || isOwnOrigin(origin, host);
  if (!isOwn) throw new Problem(403, 'cross-site', 'This can only be asked from the dashboard itself.');
}

/** `__Host-` makes browsers refuse the name to other hosts and to plain http (RFC 6265bis section 4.1.3.2). */
function cookieName(request: FastifyRequest): string {
  return request.protocol === 'https' ? '__Host-fieldmouse' : 'fieldmouse';
}

export function setSessionCookie(request: FastifyRequest, reply: FastifyReply, secret: string): void {
  reply.setCookie(cookieName(request), secret, { ...cookieOptions(request), maxAge: COOKIE_AGE_S });
}

/** Sends the cookie again, because the session now ends later. */
export function renewSessionCookie(request: FastifyRequest, reply: FastifyReply): void {
  const secret = request.cookies[cookieName(request)];
  if (secret !== undefined) setSessionCookie(request, reply, secret);
}

export function clearSessionCookie(request: FastifyRequest, reply: FastifyReply): void {
  reply.clearCookie(cookieName(request), cookieOptions(request));
}

function cookieOptions(request: FastifyRequest) {
  return { path: '/', httpOnly: true, sameSite: 'lax', secure: request.protocol === 'https' } as const;
}
