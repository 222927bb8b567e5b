/** The country of a visitor, found by the address, which is stored nowhere. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { countryFinder } from '../src/http/country.ts';
import { run } from './support/command.ts';
import { until } from './support/exact.ts';
import { startServer, type TestServer, temporaryFolder } from './support/server.ts';

const GERMAN = '85.214.132.117';

test('the database that ships knows the country of public addresses, and only of those', () => {
  const find = countryFinder(true);
  for (const [address, country] of [
    [GERMAN, 'DE'],
    [`::ffff:${GERMAN}`, 'DE'],
    ['2a01:4f8::1', 'DE'],
    ['8.8.8.8', 'US'],
    ['133.242.0.1', 'JP'],
    ['127.0.0.1', ''],
    ['10.1.2.3', ''],
    ['192.168.0.1', ''],
    ['203.0.113.7', ''],
    ['::1', ''],
    ['fe80::1%eth0', ''],
    ['fd00::1', ''],
    ['local', ''],
    ['', ''],
  ])
    assert.equal(find(address as string), country, address);
  assert.equal(countryFinder(false)(GERMAN), '');
});

test('no text makes a finder fail', () => {
  const find = countryFinder(true);
  const address = fc.oneof(
    fc.string(),
    fc.ipV4(),
    fc.ipV6(),
    fc.ipV4().map((one) => `::ffff:${one}`),
  );
  fc.assert(fc.property(address, (text) => assert.match(find(text), /^([A-Z]{2})?$/)));
});

/** Returns the country of a visitor that comes through a proxy on this machine. */
async function countryOf(server: TestServer, headers: Record<string, string>): Promise<string> {
  const before = await visits(server);
  const socket = new WebSocket(`${server.ws}/v1/visit?site=demo`, 'json', { headers });
  await once(socket, 'open');
  socket.send('{"x":1,"y":2}');
  await until(async () => (await visits(server)).length > before.length, 'visit');
  socket.close();
  const known = before.map(({ id }) => id);
  return (await visits(server)).find(({ id }) => !known.includes(id))?.country ?? 'no visit';
}

async function visits(server: TestServer): Promise<{ id: string; country: string }[]> {
  return ((await (await server.api('/v1/visits?site=demo')).json()) as { visits: { id: string; country: string }[] })
    .visits;
}

test('a visit has the country of its address, unless a trusted proxy says another, and the address is not stored', async (t) => {
  const flags = ['--trust-proxy', 'loopback', '--country-header', 'cf-ipcountry'];
  const server = await startServer(t, { workers: 1, flags });
  assert.equal(await countryOf(server, { 'x-forwarded-for': GERMAN }), 'DE');
  assert.equal(await countryOf(server, { 'x-forwarded-for': GERMAN, 'cf-ipcountry': 'FR' }), 'FR');
  assert.equal(await countryOf(server, { 'x-forwarded-for': GERMAN, 'cf-ipcountry': 'XX' }), 'DE');
  assert.equal(await countryOf(server, {}), '');
  for (const file of readdirSync(server.data, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const bytes = readFileSync(join(file.parentPath, file.name));
    assert.ok(!bytes.includes(GERMAN) && !bytes.includes(Buffer.from(GERMAN.split('.').map(Number))), file.name);
  }
  const off = await startServer(t, { workers: 1, flags: [...flags, '--geo', 'no'] });
  assert.equal(await countryOf(off, { 'x-forwarded-for': GERMAN }), '');
});

test('a server with a file that is no database of countries does not start, and says so in one line', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'countries.mmdb');
  writeFileSync(file, 'no database');
  for (const path of [file, join(folder, 'none.mmdb')]) {
    const { code, err } = await run('--data', join(folder, 'data'), '--listen', 'tcp://127.0.0.1:0', '--geo', path);
    assert.equal(code, 1);
    assert.match(err, new RegExp(`^fieldmouse: --geo: ${path} is not a database of countries: .+\\n$`));
  }
});
