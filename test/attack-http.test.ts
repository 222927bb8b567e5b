/**
 * Malformed requests that no HTTP library would send, written byte by byte. http.test.ts tests the errors of
 * well-behaved clients.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { FILE } from './support/owner.ts';
import { exchange, openRaw, statuses, upgradeText, usage } from './support/raw.ts';
import { startServer, type TestServer } from './support/server.ts';

const server = await startServer(FILE, { workers: 1 });

const VISIT = '/v1/visit?site=demo&page=/';
const END = 'Connection: close\r\n\r\n';

async function served(server: TestServer): Promise<void> {
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
}

test('a request whose length is ambiguous is rejected, and the bytes after it are not parsed', async (t) => {
  const hidden = 'GET /healthz HTTP/1.1\r\nHost: hidden\r\nConnection: close\r\n\r\n';
  const post = (fields: string, body: string) =>
    `POST ${VISIT} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n${fields}\r\n${body}${hidden}`;
  const shapes = {
    'length and chunks': post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'chunks and length': post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', '0\r\n\r\n'),
    'two lengths': post('Content-Length: 4\r\nContent-Length: 0\r\n', ''),
    'two lengths in one': post('Content-Length: 4, 0\r\n', ''),
    'a length with a sign': post('Content-Length: +4\r\n', 'abcd'),
    'chunks that are not last': post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n'),
    'an odd coding': post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n'),
    'a coding after a tab': post('Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n', '0\r\n\r\n'),
    'a blank before the colon': post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n'),
    'a folded field': post('X: a\r\n Transfer-Encoding: chunked\r\n', ''),
    'a bare line feed': post('Content-Length: 0\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'a bare carriage return': post('X: a\rTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    'a chunk size with junk': post('Transfer-Encoding: chunked\r\n', '0x0\r\n\r\n'),
    'a chunk size beyond all': post('Transfer-Encoding: chunked\r\n', 'fffffffffffffffff\r\n'),
    'a NUL in a field': post('X: a\0b\r\n', ''),
  };
  for (const [name, bytes] of Object.entries(shapes)) {
    const answer = statuses(await exchange(t, server.url, bytes));
    assert.ok(!answer.includes(200), `${name}: ${answer}`);
    assert.ok(answer.length <= 1, `${name}: one answer at most, not ${answer}`);
  }
  await served(server);
});

test('a request sent together with an upgrade is not answered as a second request', async (t) => {
  const after = `GET /healthz HTTP/1.1\r\nHost: x\r\n${END}`;
  const refused = await exchange(t, server.url, upgradeText('/v1/visit?site=none') + after);
  assert.deepEqual(statuses(refused), [404]);
  const withBody = upgradeText(VISIT, `Content-Length: ${after.length}\r\n`) + after;
  assert.ok(!statuses(await exchange(t, server.url, withBody)).includes(200));
  await served(server);
});

test('too many or too large headers are refused', async (t) => {
  const pids = server.workerPids();
  const get = (fields: string) => exchange(t, server.url, `GET /healthz HTTP/1.1\r\nHost: x\r\n${fields}${END}`);
  assert.deepEqual(statuses(await get(`X: ${'a'.repeat(20_000)}\r\n`)), [431]);
  assert.deepEqual(statuses(await get(`${'a'.repeat(20_000)}: x\r\n`)), [431]);
  assert.deepEqual(statuses(await get('A: b\r\n'.repeat(20_000))), [431]);
  assert.deepEqual(statuses(await get(`Cookie: ${'a=b; '.repeat(3000)}\r\n`)), [200]);
  const [before] = usage(pids);
  for (let i = 0; i < 50; i++) await get(`X: ${'a'.repeat(100_000)}\r\n`);
  assert.ok((usage(pids)[0]?.rssMb ?? 0) < (before?.rssMb ?? 0) + 80);
  await served(server);
});

test('no route decompresses a compressed body', async () => {
  const pids = server.workerPids();
  const bomb = Buffer.alloc(200 << 20, ' ');
  const [before] = usage(pids);
  for (const [coding, body] of [
    ['gzip', gzipSync(bomb)],
    ['br', brotliCompressSync(bomb.subarray(0, 20 << 20))],
  ] as const)
    for (const [path, type] of [
      [VISIT, 'application/json'],
      [VISIT, 'text/plain'],
      ['/v1/session', 'application/json'],
      ['/v1/hits/a?site=demo', 'application/json'],
    ]) {
      const response = await fetch(server.url + path, {
        method: 'POST',
        body: new Uint8Array(body),
        headers: { 'content-type': type as string, 'content-encoding': coding },
      });
      // The counter looks at no body; all others refuse it.
      if (!path?.startsWith('/v1/hits/')) assert.ok(response.status >= 400 && response.status < 500, `${path} ${type}`);
    }
  assert.ok((usage(pids)[0]?.rssMb ?? 0) < (before?.rssMb ?? 0) + 80);
  await served(server);
});

/** Line ends as they are, encoded, and as characters that a careless reader makes them of. */
const BREAKS = ['\r\n', '\n', '\r', '%0d%0a', '%0a', '%E5%98%8D%E5%98%8A', '\u010d\u010a', '\u2028'];

test('nothing a client sends becomes a header of a response', async (t) => {
  for (const broken of BREAKS) {
    const evil = `x${broken}X-Evil: 1${broken}${broken}<script>`;
    const requests = [
      `GET /admin/${evil} HTTP/1.1\r\nHost: x\r\n${END}`,
      `GET /admin?${evil} HTTP/1.1\r\nHost: ${evil}\r\n${END}`,
      `GET /admin HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: ${evil}\r\nX-Forwarded-Proto: ${evil}\r\n${END}`,
      `GET /v1/hits/${evil}.svg?site=demo&label=${evil} HTTP/1.1\r\nHost: x\r\n${END}`,
      `OPTIONS ${VISIT} HTTP/1.1\r\nHost: x\r\nOrigin: http://${evil}\r\n${END}`,
      `GET /v1/stream?site=${evil}&last_event_id=${evil} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.token}\r\n${END}`,
      `${evil} / HTTP/1.1\r\nHost: x\r\n${END}`,
      upgradeText(VISIT, `Origin: ${evil}\r\n`),
      upgradeText(VISIT, '', evil),
    ];
    for (const request of requests) {
      const answer = await exchange(t, server.url, Buffer.from(request));
      const head = answer.split('\r\n\r\n', 1)[0] ?? '';
      assert.doesNotMatch(head, /^x-evil/im, request);
      assert.doesNotMatch(answer, /<script>(?!.*<\/script>)/, request);
    }
  }
  await served(server);
});

/** Ways up that readers of paths have been fooled by. */
const UP = ['..', '%2e%2e', '.%2e', '%252e%252e', '..%00', '..;', '%c0%ae%c0%ae', '%uff0e%uff0e', '..\\', '..%5c'];
const SLASH = ['/', '%2f', '%252f', '\\', '%5c', '%c0%af', '//'];
const GOALS = ['etc/passwd', 'package.json', 'store.mdb', 'src/main.ts', 'main.js', 'index.html.br'];

test('no spelling of a path reaches a file outside the served folders', async (t) => {
  const secret = readFileSync(new URL('../package.json', import.meta.url), 'utf8').slice(0, 200);
  const paths = ['/', '/admin/', '/v1/', '/admin/visits/'].flatMap((from) =>
    UP.flatMap((up) => SLASH.flatMap((slash) => GOALS.map((goal) => `${from}${(up + slash).repeat(4)}${goal}`))),
  );
  paths.push(
    '/file:///etc/passwd',
    '//etc/passwd',
    '/./././etc/passwd',
    '/admin/link/../../../etc/passwd',
    '/\\etc\\passwd',
  );
  const lines = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n`;
  // Many in one connection, the last of which ends it.
  for (let from = 0; from < paths.length; from += 50) {
    const some = paths.slice(from, from + 50);
    const text = some.map((path, i) => lines(path) + (i + 1 < some.length ? '\r\n' : END)).join('');
    const answer = await exchange(t, server.url, text);
    // What looks like a path of the dashboard is its one page; all else is not there, or cannot be read.
    for (const status of statuses(answer)) assert.ok([200, 400, 404].includes(status), `${status} among ${some}`);
    assert.ok(!answer.includes('root:') && !answer.includes(secret));
  }
  await served(server);
});

test('endlessly pipelined requests are answered in order, and their number is bounded', async (t: TestContext) => {
  const pids = server.workerPids();
  const [before] = usage(pids);
  const socket = await openRaw(t, server.url);
  socket.pause();
  let writable = true;
  for (let i = 0; i < 100 && writable; i++)
    writable = socket.write(`GET /v1/session HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(500));
  await served(server);
  assert.ok((usage(pids)[0]?.rssMb ?? 0) < (before?.rssMb ?? 0) + 150);
});
