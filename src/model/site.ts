/** A site, and the origins that may report to it. */

export interface Site {
  /** Identifies the site in the snippet and in addresses: `[a-z0-9-]{1,40}`. */
  key: string;
  /** Display name. */
  name: string;
  /** Origins whose pages may report, each `scheme://host[:port]` or SELF. */
  origins: string[];
  /** Unix ms. */
  created: number;
  /** Time of the first visitor, Unix ms, or null. */
  firstSeen: number | null;
}

/** In `origins`: the host under which the server itself was requested. */
export const SELF = 'self';

export const SITE_KEY = /^[a-z0-9-]{1,40}$/;

/** Maximum number of origins of one site, and of characters of its name. */
export const SITE_LIMIT = { origins: 50, name: 100 } as const;

/**
 * Returns true if a page of `origin` may report to the site. Origins are compared as a whole, never in part (RFC 6454
 * section 5). `host` is the Host of the request (or what a trusted proxy reports). It is used only for SELF, where the
 * scheme is left open, because behind a proxy that ends TLS the server does not know it. A request without an Origin is
 * accepted: every browser sends one with a WebSocket and with a POST, and other clients could claim any. The text
 * `null` (a sandboxed frame, a file) is an ordinary origin and never allowed.
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

/** Returns true if `origin` is http or https at exactly this host and port. */
export function isOwnOrigin(origin: string, host: string | undefined): boolean {
  const url = originUrl(origin);
  if (url === undefined || url.origin !== origin || !host) return false;
  return originUrl(`${url.protocol}//${host}`)?.host === url.host;
}

/**
 * Returns an origin as browsers write it: lower case, no default port, no path. Undefined if it is invalid. A single
 * trailing `/`, which people often copy along, is removed. SELF stays as it is.
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
