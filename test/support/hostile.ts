/** Input that our server never sends: values and texts made to break the reader, and a server that sends them. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import type { Page } from 'playwright-core';

/** Placeholder in JSON for a number that JSON.parse reads as Infinity. */
const ENDLESS = '@endless@';

/** Returns the JSON text of a value; ENDLESS becomes 1e999. */
export function hostileJson(value: unknown): string {
  return (JSON.stringify(value) ?? 'undefined').replaceAll(`"${ENDLESS}"`, '1e999');
}

/** A value that is invalid wherever it appears. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    '',
    '__proto__',
    'constructor',
    '\u0000\ud800\u202e',
    'x'.repeat(50_000),
    0,
    -1,
    0.5,
    -0.5,
    1e15,
    8.64e15,
    1e300,
    -1e300,
    2 ** 31,
    2 ** 53,
    Number.NaN,
    ENDLESS,
    [],
    {},
    [[]],
    [null],
    [-1, -1, -1],
    [1, -1, 0, 0, 0],
    [1, 1e9, 0],
    [1, 0.5, 0, 0, 0],
    JSON.parse('{"__proto__":{"t":1,"visitor":{}},"length":1e9}'),
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A value with one to three parts replaced, removed or added. */
export function mutated(value: unknown): fc.Arbitrary<unknown> {
  const change = fc.tuple(fc.nat(), fc.constantFrom('replace', 'replace', 'remove', 'repeat', 'proto'), hostileValue);
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    let result = structuredClone(value);
    // Cloned, since a later change may modify it, and all users share one value.
    for (const [place, kind, other] of changes) result = changedAt(result, place, kind, structuredClone(other));
    return result;
  });
}

type Holder = Record<string, unknown>;

function changedAt(value: unknown, place: number, kind: string, other: unknown): unknown {
  const places = [...placesOf(value)];
  const at = places[place % Math.max(1, places.length)];
  if (!at) return other;
  const [holder, key] = at;
  if (kind === 'replace') holder[key] = other;
  else if (kind === 'remove' && !Array.isArray(holder)) delete holder[key];
  else if (Array.isArray(holder)) holder.push(kind === 'repeat' ? holder[Number(key)] : other);
  else
    Object.defineProperty(holder, '__proto__', { value: other, enumerable: true, configurable: true, writable: true });
  return value;
}

/** Yields every place in a value, as its holder and key. */
function* placesOf(value: unknown): Generator<[Holder, string]> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, one] of Object.entries(value)) {
    yield [value as Holder, key];
    yield* placesOf(one);
  }
}

export interface EventServer {
  /** Sends a text to all connected clients, and to clients that connect later. */
  send(text: string): void;
  /** Sends a text to all connected clients. */
  say(text: string): void;
  /** The addresses requested so far. */
  readonly asked: string[];
  /** Forgets the texts sent so far: later clients get only new ones. */
  forget(): void;
  /** Redirects the page's requests for a path to this server. */
  capture(page: Page, path: string): Promise<void>;
}

/** Starts a small server of event streams that sends what the test tells it. */
export async function startEventServer(t: TestContext): Promise<EventServer> {
  const open = new Set<ServerResponse>();
  const asked: string[] = [];
  let said = '';
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write(`retry: 2000\n\n${said}`);
    open.add(response);
    response.on('close', () => open.delete(response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const say = (text: string) => {
    for (const response of open) response.write(text);
  };
  return {
    asked,
    say,
    send(text) {
      said += text;
      say(text);
    },
    forget() {
      said = '';
    },
    async capture(page, path) {
      await page.route(`**${path}?*`, (route) => {
        const url = new URL(route.request().url());
        return route.continue({ url: `http://127.0.0.1:${port}${url.pathname}${url.search}` });
      });
    },
  };
}

/** Returns the text of one event of a stream. */
export function eventText(name: string, data: unknown, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${hostileJson(data)}\n\n`;
}
