/** A site, and the origins that may report to it. */

export interface Site {
  /** Identifies the site in the snippet and in addresses: `[a-z0-9-]{1,40}`. */
  key: string;
  /** Display name. */
  name: string;
  /** Origins whose pages may report: each `scheme://host[:port]`, a pattern (see `normalOrigin`) or SELF. */
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

/** How an origin must look, for messages. */
export const ORIGIN_EXAMPLES = 'https://www.example.org, https://*.example.org or http://localhost:*';

/** In a pattern: one label of a host name, or any port of this computer. */
const ANY = '*';
const LABEL = /^[a-z0-9_-]+$/;
const PORT = /^\d{1,5}$/;
/** A local origin with any port; developers change ports often. */
const ANY_LOCAL_PORT = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\]):\*\/?$/i;
/** An origin of which the first label may be any. */
const ANY_LABEL = /^https?:\/\/\*\./i;
/** In place of `*` while the rest is checked. */
const SOME_LABEL = 'any';

/**
 * Returns true if a page of `origin` may report to the site. Origins are compared as a whole, never in part (RFC 6454
 * section 5), except for what a pattern leaves open. `host` is the Host of the request (or what a trusted proxy
 * reports). It is used only for SELF, where the scheme is left open, because behind a proxy that ends TLS the server
 * does not know it. A request without an Origin is accepted: every browser sends one with a WebSocket and with a POST,
 * and other clients could claim any. The text `null` (a sandboxed frame, a file) is an ordinary origin and never
 * allowed.
 */
export function isAllowedOrigin(
  site: Pick<Site, 'origins'>,
  origin: string | undefined,
  host: string | undefined,
): boolean {
  if (origin === undefined) return true;
  if (site.origins.includes(SELF) && isOwnOrigin(origin, host)) return true;
  return origin !== SELF && site.origins.some((one) => covers(one, origin));
}

function covers(pattern: string, origin: string): boolean {
  const at = pattern.indexOf(ANY);
  if (at < 0) return pattern === origin;
  const [before, after] = [pattern.slice(0, at), pattern.slice(at + ANY.length)];
  // The default port is not in an origin.
  if (after === '' && `${origin}:` === before) return true;
  if (!origin.startsWith(before) || !origin.endsWith(after)) return false;
  return (after === '' ? PORT : LABEL).test(origin.slice(before.length, origin.length - after.length));
}

/** Returns true if `origin` is http or https at exactly this host and port. */
export function isOwnOrigin(origin: string, host: string | undefined): boolean {
  const url = originUrl(origin);
  if (url === undefined || url.origin !== origin || !host) return false;
  return originUrl(`${url.protocol}//${host}`)?.host === url.host;
}

/**
 * Returns an origin as browsers write it: lower case, no default port, no path. Undefined if it is invalid. A single
 * trailing `/`, which people often copy along, is removed. SELF stays as it is. `https://*.shop.example` stands for
 * exactly one label in place of `*`, `http://localhost:*` for any port of a local host.
 */
export function normalOrigin(text: string): string | undefined {
  if (text === SELF) return SELF;
  if (ANY_LOCAL_PORT.test(text)) return text.toLowerCase().replace(/\/$/, '');
  if (ANY_LABEL.test(text)) return normalPattern(text);
  const url = originUrl(text);
  if (url === undefined || url.host.includes(ANY)) return undefined;
  return url.href === `${url.origin}/` ? url.origin : undefined;
}

/** A pattern needs two fixed labels: `https://*.org` would be half of the world. */
function normalPattern(text: string): string | undefined {
  const normal = normalOrigin(text.replace(ANY, SOME_LABEL));
  if (normal === undefined || new URL(normal).hostname.split('.').filter(Boolean).length < 3) return undefined;
  return normal.replace(SOME_LABEL, ANY);
}

function originUrl(text: string): URL | undefined {
  if (!/^https?:\/\/[^/?#@\\\s]+\/?$/i.test(text)) return undefined;
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
