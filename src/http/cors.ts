/** What pages of other origins may do: the fields with which a browser hands an answer on, and preflights. */
import type { IncomingMessage } from 'node:http';
import { isAllowedOrigin, type Site } from '../model/site.ts';
import { Problem } from './problem.ts';
import type { Fields } from './security.ts';

/** How long a browser may remember a preflight; Chromium's most is two hours. */
const PREFLIGHT_S = 7200;

/** The security headers are for what browsers show. */
const SHARED: Fields = [
  ['vary', 'Origin'],
  ['cross-origin-resource-policy', 'cross-origin'],
  ['x-content-type-options', 'nosniff'],
];

/**
 * Fields of each answer about a site. Set before anything can go wrong, they let the page's script read why it was refused.
 * `host` as for `isAllowedOrigin`.
 */
export function sharedFields(site: Site | undefined, { headers }: IncomingMessage, host: string | undefined): Fields {
  const { origin } = headers;
  if (origin === undefined || !site || !isAllowedOrigin(site, origin, host)) return SHARED;
  return [...SHARED, ['access-control-allow-origin', origin], ['access-control-expose-headers', 'retry-after']];
}

/** Fields of the answer to OPTIONS, 204, which may be a preflight. */
export function preflightFields(...methods: string[]): Fields {
  // HEAD needs no leave of a preflight.
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
