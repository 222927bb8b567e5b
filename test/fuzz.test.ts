/** The short form of `npm run fuzz`, and the same inputs sent to a started server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import fc from 'fast-check';
import { accepts, jsonFrames, postBodies, TARGETS, visitorBytes, visitorFrames } from './support/fuzz.ts';
import { FILE } from './support/owner.ts';
import { openRawVisitor, usage, wsFrame } from './support/raw.ts';
import { startServer } from './support/server.ts';
import { BinaryVisitor, helloFrame } from './support/visitor.ts';

const FLAGS = [
  '--max-frame-rate',
  '10000',
  '--max-per-address',
  '10000',
  '--trust-proxy',
  'loopback',
  '--country-header',
  'x-country',
];
const server = await startServer(FILE, { flags: FLAGS });
const SOME_MB = 120;

for (const target of TARGETS)
  test(`${target.name}: mutated inputs are accepted or rejected, and cause no other error`, () => {
    fc.assert(
      fc.property(target.inputs, (input) => void accepts(target, input)),
      { numRuns: 3000 },
    );
  });

test('no bytes from a visitor stop a worker, or delay the acks of another visitor', async (t) => {
  const pids = server.workerPids();
  const good = new BinaryVisitor(t, server.ws);
  await good.hello;
  const before = usage(pids);
  const served = async () => {
    const n = good.frame({ type: 'move', time: 1, x: 1, y: 1 });
    while (good.acked < n) await once(good.socket, 'message');
  };
  const attacks = {
    bytes: fc.sample(visitorBytes, 150),
    frames: fc.sample(visitorFrames, 150).map((bytes) => wsFrame(0x82, bytes)),
    texts: fc.sample(jsonFrames, 150).map((text) => wsFrame(0x81, Buffer.from(text))),
  };
  for (const [kind, list] of Object.entries(attacks)) {
    for (const bytes of list) {
      const { socket } = await openRawVisitor(t, server.url, '', kind === 'texts' ? 'json' : 'fieldmouse.v1');
      socket.resume();
      if (kind === 'frames') socket.write(wsFrame(0x82, helloFrame()));
      // Whatever it was: the end of the message is told, and the connection left.
      socket.end(bytes);
    }
    await served();
  }
  assert.deepEqual(server.workerPids(), pids);
  for (const [i, { rssMb }] of usage(pids).entries()) assert.ok(rssMb < (before[i]?.rssMb ?? 0) + SOME_MB);
  assert.doesNotMatch(server.output(), /unexpected error/);
});

test('no body, address or header field causes a status of 500 or a missing response', async () => {
  const pids = server.workerPids();
  const field = fc.oneof(jsonFrames, fc.string({ unit: 'binary', maxLength: 80 })).map((text) =>
    Buffer.from(text)
      .toString('latin1')
      .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, ''),
  );
  const bodies = fc.sample(
    fc.oneof(
      postBodies,
      jsonFrames.map((text) => Buffer.from(text)),
    ),
    400,
  );
  for (const body of bodies)
    for (const type of ['text/plain', 'application/json']) {
      const init = { method: 'POST', body: new Uint8Array(body), headers: { 'content-type': type } };
      const { status } = await fetch(`${server.url}/v1/visit?site=demo&page=/`, init);
      assert.ok(status < 500, `${status} for ${Buffer.from(body).toString('latin1')}`);
    }
  const names = ['cookie', 'accept-encoding', 'if-none-match', 'x-forwarded-host', 'x-country', 'last-event-id'];
  const paths = [
    '/admin/app.js',
    '/v1/hits/',
    '/v1/visits',
    '/v1/heatmap',
    '/v1/pages',
    '/v1/replay',
    '/v1/visits/',
    '/admin/',
  ];
  for (const [i, value] of fc.sample(field, 1500).entries()) {
    const text = encodeURIComponent(value);
    const path = `${paths[i % paths.length]}${i % 2 ? text : ''}?site=demo&page=/&${['from', 'to', 'after', 'limit', 'day', 'kind', 'label'][i % 7]}=${text}`;
    const headers = {
      // Each from an address of its own, so that no limit answers for the route.
      'x-forwarded-for': `10.1.${i >> 8}.${i & 255}`,
      [names[i % names.length] as string]: value,
      authorization: i % 5 === 0 ? `Bearer ${value}` : `Bearer ${server.token}`,
    };
    const response = await fetch(server.url + path, { headers, redirect: 'manual' });
    await response.body?.cancel();
    assert.ok(response.status < 500, `${response.status} for ${path} ${JSON.stringify(headers)}`);
  }
  assert.deepEqual(server.workerPids(), pids);
  assert.doesNotMatch(server.output(), /request failed|unexpected error/);
});
