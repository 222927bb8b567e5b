/**
 * A site, and who may report to it.
 */

export interface Site {
  /** Names the site in the snippet and in addresses: `[a-z0-9-]{1,40}`. */
  key: string;
  /** For people. */
  name: string;
  /** Origins whose pages may report, each `scheme://host[:port]` or SELF. */
  origins: string[];
  /** Unix ms. */
  created: number;
  /** Unix ms of the first visitor, or null before it. */
  firstSeen: number | null;
}

/** In `origins`: whatever host the server itself was asked under. */
export const SELF = 'self';

export const SITE_KEY = /^[a-z0-9-]{1,40}$/;

/** Most origins of one site, and most characters of its name. */
export const SITE_LIMIT = { origins: 50, name: 100 } as const;

/**
 * True if a page of `origin` may report to the site. Origins are compared whole, never by a part
 * (RFC 6454 section 5). `host` is the Host of the request (or what a trusted proxy says it was) and counts
 * only for SELF, where the scheme is left open: behind a proxy that ends TLS the server does not know it.
 *
 * A request without an Origin is let in: every browser sends one with a WebSocket and with a POST, and
 * what is not a browser could claim any. The text `null` (a sandboxed frame, a file) is an origin like
 * others and never allowed.
 */
export function isAllowedOrigin(
  site: Pick<Site, 'origins'>,
  origin: string | undefined,
  host: string | undefined,
): boolean {
  if (origin === undefined) return true;
  if (site.origins.includes(SELF) && isOwnOrigin(origin, host)) return true;
  return origin !== SELF && site.origins.includes(origin);
}

/** True if `origin` is http or https at this very host and port. */
export function isOwnOrigin(origin: string, host: string | undefined): boolean {
  const url = originUrl(origin);
  if (url === undefined || url.origin !== origin || !host) return false;
  return originUrl(`${url.protocol}//${host}`)?.host === url.host;
}

/**
 * An origin as browsers write it, or undefined for what is none: lower case, no default port, no path.
 * A lone `/` at the end, which people copy along, is forgiven; SELF stays as it is.
 */
export function normalOrigin(text: string): string | undefined {
  if (text === SELF) return SELF;
  const url = originUrl(text);
  if (url === undefined || url.host.includes('*')) return undefined;
  return url.href === `${url.origin}/` ? url.origin : undefined;
}

function originUrl(text: string): URL | undefined {
  if (!/^https?:\/\/[^/?#@\\\s]+\/?$/i.test(text)) return undefined;
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
