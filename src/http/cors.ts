/** CORS: the headers that let pages of other origins read a response, and preflights. */
import type { IncomingMessage } from 'node:http';
import { isAllowedOrigin, type Site } from '../model/site.ts';
import { Problem } from './problem.ts';
import type { Fields } from './security.ts';

/** How long a browser may cache a preflight; Chromium's maximum is two hours. */
const PREFLIGHT_S = 7200;

/** The other security headers are for documents. */
const SHARED: Fields = [
  ['vary', 'Origin'],
  ['cross-origin-resource-policy', 'cross-origin'],
  ['x-content-type-options', 'nosniff'],
];

/**
 * The headers of each response about a site. They are set before anything can fail, so that the page's script can read
 * why it was refused. `host` as for `isAllowedOrigin`.
 */
export function sharedFields(site: Site | undefined, { headers }: IncomingMessage, host: string | undefined): Fields {
  const { origin } = headers;
  if (origin === undefined || !site || !isAllowedOrigin(site, origin, host)) return SHARED;
  return [...SHARED, ['access-control-allow-origin', origin], ['access-control-expose-headers', 'retry-after']];
}

/** The headers of a 204 response to OPTIONS, which may be a preflight. */
export function preflightFields(...methods: string[]): Fields {
  // HEAD needs no permission in a preflight.
  const takes = methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : method));
  return [
    ['allow', [...takes, 'OPTIONS'].join(', ')],
    ['access-control-allow-methods', methods.join(', ')],
    ['access-control-allow-headers', 'content-type'],
    ['access-control-max-age', String(PREFLIGHT_S)],
  ];
}

export function originNotAllowed(): Problem {
  return new Problem(403, 'origin-not-allowed', 'This site does not allow that origin.');
}
