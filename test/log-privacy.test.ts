/** The log contains no part of a request, whatever fails. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { errorFields } from '../src/log/logger.ts';
import { startHttp } from './support/http.ts';
import { exchange, openRaw, statuses } from './support/raw.ts';
import { startServer } from './support/server.ts';

const SECRET = 'jo@example.org';

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

test('errors are logged without the input that caused them', () => {
  const errors = [
    thrownBy(() => new URL(`http://b\u00fccher\ufffd/${SECRET}`, 'x')),
    thrownBy(() => JSON.parse(`"${SECRET}`)),
    thrownBy(() => JSON.parse(SECRET)),
    thrownBy(() => BigInt(SECRET)),
    thrownBy(() => new RegExp(`(${SECRET}`)),
    thrownBy(() => Buffer.alloc(SECRET as unknown as number)),
    thrownBy(() => new TextDecoder(SECRET)),
    thrownBy(() => (({}) as Record<string, () => void>)[SECRET]?.call(null) ?? (null as never)[SECRET]),
    Object.assign(new Error('cannot read'), { input: SECRET, headers: { referer: SECRET }, cause: new Error(SECRET) }),
    Object.assign(new TypeError(`bad 'a'\n    at ${SECRET}'`), {}),
    new AggregateError([new Error(SECRET)], 'all failed'),
  ];
  for (const error of errors) {
    assert.ok(error instanceof Error);
    const fields = errorFields(error) as Record<string, string>;
    assert.ok(!JSON.stringify(fields).includes(SECRET), JSON.stringify(fields));
    assert.deepEqual(
      Object.keys(fields).filter((name) => name !== 'code'),
      ['type', 'message', 'stack'],
    );
    assert.match(fields.stack ?? '', /\n {4}at .*log-privacy/);
  }
});

test('our own errors keep their message and code', () => {
  const error = Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
  const { stack, ...fields } = errorFields(error) as Record<string, string>;
  assert.deepEqual(fields, { type: 'Error', code: 'ENOSPC', message: 'the disk is full' });
  assert.match(stack ?? '', /^Error: the disk is full\n {4}at /);
  assert.equal(errorFields('a text'), 'a text');
});

/** Enough for V8 to optimise what reads them. */
const MANY = 6000;

test('a Referer of any bytes is answered and never logged, however often it arrives', async (t) => {
  const { url, log } = await startHttp(t, { flags: ['--max-hits', '1000000'] });
  const socket = await openRaw(t, url);
  const request = (referer: string, more = '') =>
    Buffer.from(`HEAD /v1/hits/r.svg?site=demo HTTP/1.1\r\nHost: x\r\nReferer: ${referer}\r\n${more}\r\n`, 'latin1');
  const odd = Buffer.from(`http://b\u00fccher\u{1d400}.example/private?email=${SECRET}`).toString('latin1');
  const requests = Array.from({ length: MANY }, (_, n) => request(n % 4 ? `https://shop.example/${n}` : odd));
  socket.write(Buffer.concat([...requests, request(odd, 'Connection: close\r\n')]));
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk;
  });
  await once(socket, 'end');
  const codes = statuses(text);
  assert.equal(codes.length, MANY + 1);
  assert.deepEqual(
    codes.filter((code) => code >= 500),
    [],
  );
  assert.ok(!log.join('').includes(SECRET));
});

test('the log of a server contains nothing of the headers, queries and bodies sent to it', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--log-level', 'debug'] });
  const odd = Buffer.from(`http://b\u00fccher\u{1d400}.example/${SECRET}`).toString('latin1');
  const names = ['Referer', 'Origin', 'Host', 'Cookie', 'Authorization', 'User-Agent', 'Accept', 'Accept-Encoding'];
  const more = [
    'If-None-Match',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'Last-Event-ID',
    'Sec-Fetch-Site',
    'Content-Type',
  ];
  const paths = [
    '/v1/hits/a.svg?site=demo',
    '/v1/hits/a',
    '/v1/sites',
    '/v1/stream?site=demo',
    '/v1/visit?site=demo',
    '/',
  ];
  const requests = paths.flatMap((path) =>
    [...names, ...more].flatMap((name) =>
      [odd, `"%${SECRET}`].flatMap((value) =>
        ['GET', 'POST'].map((method) => {
          const host = name === 'Host' ? '' : 'Host: x\r\n';
          const query = `${path.includes('?') ? '&' : '?'}email=${SECRET}&label=%E0%A4%A${SECRET}`;
          const length = method === 'POST' ? `Content-Length: ${SECRET.length}\r\n` : '';
          const head = `${method} ${path}${query} HTTP/1.1\r\n${host}${name}: ${value}\r\n${length}`;
          return `${head}Connection: close\r\n\r\n${method === 'POST' ? SECRET : ''}`;
        }),
      ),
    ),
  );
  for (let at = 0; at < requests.length; at += 50)
    await Promise.all(requests.slice(at, at + 50).map((request) => exchange(t, server.url, request)));
  assert.match(server.output(), /"route":"\/v1\/sites"/);
  assert.ok(!server.output().includes(SECRET));
});
