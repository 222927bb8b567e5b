/** The dashboard's requests to the server. A request that fails throws an ApiError with a readable message. */

import type { Rights } from '../../model/rights.ts';
import type { Site } from '../../model/site.ts';
import * as answers from './answers.ts';
import { based } from './base.ts';
import { parse, type ValueReader } from './readers.ts';
import { address } from './route.ts';

/** Parameters of a query. Null and empty values are left out. */
type Query = Record<string, string | number | null | undefined>;

/** A request that failed. `code` is the server's, or `unreachable` if there was no answer. */
export class ApiError extends Error {
  readonly code: string;
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** Seconds to wait before the next attempt, if the server names them. */
  readonly retryAfter: number | undefined;

  constructor(code: string, status: number, message: string, retryAfter?: number) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const TIMEOUT_MS = 15_000;
/** Derived from the address of this script, so that it works under any base path. */
const HEALTH = new URL('../healthz', import.meta.url).href;

/** All requests. Each throws ApiError. */
export const api = {
  session: () => call(answers.sessionAnswer, 'GET', '/v1/session'),
  signIn: (name: string, password: string) => call(answers.sessionAnswer, 'POST', '/v1/session', { name, password }),
  signInByLink: (token: string) => call(answers.sessionAnswer, 'POST', '/v1/session/link', { token }),
  signOut: () => call(answers.nothing, 'DELETE', '/v1/session'),
  setPassword: (password: string, current?: string) =>
    call(answers.nothing, 'PUT', '/v1/password', current === undefined ? { password } : { current, password }),
  signIns: async () => (await call(answers.signIns, 'GET', '/v1/sessions')).sessions,
  endSignIn: (id: string) => call(answers.nothing, 'DELETE', `/v1/sessions/${encodeURIComponent(id)}`),
  tokens: async () => (await call(answers.tokens, 'GET', '/v1/tokens')).tokens,
  addToken: (name: string, rights: Rights) => call(answers.newTokenAnswer, 'POST', '/v1/tokens', { name, ...rights }),
  admins: async () => (await call(answers.admins, 'GET', '/v1/admins')).admins,
  /** Returns the secret part of a one-time link, as `addLink` does. */
  addAdmin: async (name: string, rights: Rights) =>
    (await call(answers.linkAnswer, 'POST', '/v1/admins', { name, ...rights })).token,
  addLink: async (name: string) => (await call(answers.linkAnswer, 'POST', `${adminPath(name)}/link`)).token,
  changeAdmin: (name: string, rights: Rights) => call(answers.nothing, 'PUT', adminPath(name), rights),
  removeAdmin: (name: string) => call(answers.nothing, 'DELETE', adminPath(name)),
  audit: (query: Query) => call(answers.trail, 'GET', address('/v1/audit', query)),
  revokeToken: (id: string) => call(answers.nothing, 'DELETE', `/v1/tokens/${encodeURIComponent(id)}`),
  sites: async () => (await call(answers.sitesAnswer, 'GET', '/v1/sites')).sites,
  addSite: (site: Pick<Site, 'key' | 'name' | 'origins'>) => call(answers.siteAnswer, 'POST', '/v1/sites', site),
  changeSite: (key: string, site: Pick<Site, 'name' | 'origins'>) =>
    call(answers.siteAnswer, 'PUT', `/v1/sites/${encodeURIComponent(key)}`, site),
  removeSite: (key: string) => call(answers.nothing, 'DELETE', `/v1/sites/${encodeURIComponent(key)}`),
  refusals: async () => (await call(answers.refusals, 'GET', '/v1/refusals')).refusals,
  visits: (query: Query) => call(answers.visits, 'GET', address('/v1/visits', query)),
  visit: (id: string) => call(answers.visit, 'GET', `/v1/visits/${encodeURIComponent(id)}`),
  eraseVisit: (id: string) => call(answers.nothing, 'DELETE', `/v1/visits/${encodeURIComponent(id)}`),
  passages: (id: string, after?: string | null) =>
    call(answers.passages, 'GET', address(`/v1/visits/${encodeURIComponent(id)}/passages`, { after })),
  counts: (query: Query) => call(answers.counts, 'GET', address('/v1/pages', query)),
  heat: (query: Query) => call(answers.heatAnswer(query.kind === 'scroll'), 'GET', address('/v1/heatmap', query)),
  /** The text of a replay, as a stream; null if there is nothing more to play. */
  replay: async (query: Query, signal: AbortSignal): Promise<ReadableStream<Uint8Array> | null> => {
    const response = await fetch(based(address('/v1/replay', query)), { credentials: 'same-origin', signal });
    if (!response.ok) throw await problem(response);
    return response.body;
  },
  server: () => call(answers.serverAnswer, 'GET', '/v1/server'),
  /** The reasons why the server is degraded; empty if it is healthy. The server may send them with status 503. */
  health: async () => {
    const response = await ask('GET', HEALTH, undefined);
    return (await read(answers.health, response)).reasons;
  },
};

function adminPath(name: string): string {
  return `/v1/admins/${encodeURIComponent(name)}`;
}

async function call<T>(reader: ValueReader<T>, method: string, path: string, body?: object): Promise<T> {
  const response = await ask(method, path, body);
  if (!response.ok) throw await problem(response);
  return read(reader, response);
}

async function read<T>(reader: ValueReader<T>, response: Response): Promise<T> {
  const value = reader(await jsonOf(response));
  if (value === undefined)
    throw new ApiError('bad-answer', response.status, 'The server sent an unreadable response. Reload the page.');
  return value;
}

/** The JSON value of an answer; undefined if it is not JSON or is incomplete. */
async function jsonOf(response: Response): Promise<unknown> {
  return parse(await response.text().catch(() => ''));
}

async function ask(method: string, path: string, body: object | undefined): Promise<Response> {
  const init: RequestInit = { method, credentials: 'same-origin', signal: AbortSignal.timeout(TIMEOUT_MS) };
  if (body) {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  try {
    return await fetch(based(path), init);
  } catch {
    throw new ApiError(
      'unreachable',
      0,
      'The server is not responding. Check that it is running and that you are online.',
    );
  }
}

/** Reads an RFC 9457 problem. Other answers get a message by their status. */
async function problem(response: Response): Promise<ApiError> {
  const wait = Number(response.headers.get('retry-after')) || undefined;
  const { code = 'http', title, detail } = answers.problem(await jsonOf(response)) ?? {};
  const message = detail || title || `The server responded with status ${response.status}.`;
  return new ApiError(code, response.status, message, wait);
}
