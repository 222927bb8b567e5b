/** The routes on a real server, with a real store and a folder of small pages, without workers. */
import assert from 'node:assert/strict';
import { randomBytes, scryptSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { type Config, readConfig } from '../../src/config/config.ts';
import type { HttpOptions } from '../../src/http/contract.ts';
import { createHttp } from '../../src/http/server.ts';
import type { Logger } from '../../src/log/logger.ts';
import type { Store } from '../../src/store/contract.ts';
import { openLmdbStore } from '../../src/store/lmdb/lmdb-store.ts';
import { TOKEN, temporaryFolder } from './server.ts';

export interface TestHttp {
  url: string;
  store: Store;
  config: Config;
  /** All log lines, as JSON. */
  log: string[];
  /** Sends a request with `body` as JSON, and with the given cookie and headers. */
  ask(method: string, path: string, options?: AskOptions): Promise<Response>;
  /** Like `ask`, with the API token. */
  api(method: string, path: string, body?: unknown): Promise<Response>;
  /** Returns a new administrator's session, as the value of a Cookie header. */
  signIn(name?: string): Promise<string>;
}

export interface AskOptions {
  body?: unknown;
  cookie?: string;
  headers?: Record<string, string>;
}

export interface HttpTestOptions
  extends Partial<
    Pick<
      HttpOptions,
      | 'archive'
      | 'beacon'
      | 'countHit'
      | 'health'
      | 'metrics'
      | 'openStream'
      | 'past'
      | 'present'
      | 'ready'
      | 'refused'
      | 'store'
    >
  > {
  flags?: string[];
  env?: Record<string, string>;
}

/** Starts the routes; they are closed after the test. */
export async function startHttp(t: TestContext, options: HttpTestOptions = {}): Promise<TestHttp> {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(join(folder, 'data'));
  t.after(() => store.close());
  const { config } = readConfig(['--data', folder, '--token', TOKEN, ...(options.flags ?? [])], options.env ?? {});
  const log: string[] = [];
  const http = await createHttp({
    config,
    logger: collect(log),
    store: options.store ?? store,
    archive: options.archive ?? store.archive,
    version: '0.0.0-test',
    publicFolder: writePages(join(folder, 'public')),
    ready: options.ready ?? (() => true),
    openStream: options.openStream ?? ((_request, socket) => void socket.destroy()),
    past: options.past ?? (async () => null),
    present: options.present ?? (async () => new Map()),
    countHit: options.countHit ?? ((site, page) => store.hit(site, page)),
    refused: options.refused ?? (() => {}),
    health: options.health ?? (async () => []),
    metrics: options.metrics ?? (async () => ''),
    beacon: options.beacon ?? (async () => ({ status: 200, body: {} })),
  });
  const server = createServer(http.handler);
  server.on('clientError', http.clientError);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await http.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const ask: TestHttp['ask'] = (method, path, { body, cookie, headers } = {}) =>
    fetch(url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(cookie !== undefined && { cookie }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
  return {
    url,
    store,
    config,
    log,
    ask,
    api: (method, path, body) => ask(method, path, { body, headers: { authorization: `Bearer ${TOKEN}` } }),
    signIn: async (name = 'ada') => {
      await store.addAdmin(name, Date.now());
      const token = await store.addLink(name, Date.now());
      return cookieOf(await ask('POST', '/v1/session/link', { body: { token } }));
    },
  };
}

/**
 * Stores an administrator's password at a lower cost than the server's, so that many checks take little time. A check
 * of one that was set through the server takes 0.2 s of CPU.
 */
export async function storePassword(store: Store, name: string, password: string): Promise<void> {
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, { N: 2 ** 12, r: 8, p: 1 });
  const stored = ['scrypt', 12, 8, 1, salt.toString('base64url'), hash.toString('base64url')].join('$');
  assert.ok(await store.setPassword(name, stored));
}

/** Returns the cookies that a response sets, as the value of a Cookie header. */
export function cookieOf(response: Response): string {
  return response.headers.getSetCookie().map((cookie) => cookie.split(';', 1)[0])[0] ?? '';
}

/** Returns the code of a problem. */
export async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { code: string }).code;
}

function collect(lines: string[]): Logger {
  const write = (fields: unknown, message?: string) => void lines.push(JSON.stringify({ fields, message }, showErrors));
  return { debug: write, info: write, warn: write, error: write };
}

const PAGES = {
  'fieldmouse.js': 'var endpoint="/v1/visit";',
  'admin/index.html': '<!doctype html><title>Dashboard</title>',
  'admin/missing.html': '<!doctype html><title>Page not found</title>',
  'admin/app.js': 'export {};',
  'admin/style.css': 'body{}',
  'demo/index.html': '<!doctype html><title>Demo</title><script defer src="/fieldmouse.js"></script>',
  'demo/garden.html': '<!doctype html><title>Garden</title><script defer src="/fieldmouse.js"></script>',
  'demo/demo.css': 'body{}',
};

function writePages(folder: string): string {
  for (const [name, text] of Object.entries(PAGES)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
    if (name.endsWith('.css')) writeFileSync(join(folder, `${name}.br`), brotliCompressSync(text));
  }
  return folder;
}

function showErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? { ...value, message: value.message, stack: value.stack } : value;
}
