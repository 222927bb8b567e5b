/** What proxies in front of the server write into requests: addresses in every form, and invalid addresses. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { addressGroup, readAddress, trustOf } from '../src/http/peer.ts';
import type { Beacon } from '../src/protocol/post.ts';
import { startHttp } from './support/http.ts';

const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

const ADDRESSES: [text: string, address: string | undefined][] = [
  ['203.0.113.9', '203.0.113.9'],
  [' 203.0.113.9 ', '203.0.113.9'],
  ['203.0.113.9:1', '203.0.113.9'],
  ['203.0.113.9:65535', '203.0.113.9'],
  ['"203.0.113.9:47011"', '203.0.113.9'],
  ['2001:db8::1', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:47011', '2001:db8::1'],
  ['"[2001:db8::1]:47011"', '2001:db8::1'],
  ['[::ffff:203.0.113.9]:80', '::ffff:203.0.113.9'],
  ['[::1]:80', '::1'],
  ['203.0.113.9:', undefined],
  ['203.0.113.9:port', undefined],
  ['203.0.113.9:123456', undefined],
  ['203.0.113.256', undefined],
  ['203.0.113', undefined],
  ['0x7f.1', undefined],
  ['2130706433', undefined],
  ['[203.0.113.9]:80', undefined],
  ['[2001:db8::1', undefined],
  ['2001:db8::1]:80', undefined],
  ['[]:80', undefined],
  ['unknown', undefined],
  ['_hidden', undefined],
  ['for=203.0.113.9', undefined],
  ['203.0.113.9 198.51.100.1', undefined],
  ['', undefined],
];

test('an address is accepted in every form that proxies write', () => {
  for (const [text, address] of ADDRESSES) assert.equal(readAddress(text), address, text);
});

test('limits count all invalid addresses as one', () => {
  for (const text of ['', 'unknown', '203.0.113.9:80', '[::1]:80', 'x'.repeat(1000)])
    assert.equal(addressGroup(text), 'local', text);
  assert.equal(addressGroup('::ffff:203.0.113.9'), '203.0.113.9');
  assert.equal(addressGroup('2001:db8:0:1::1'), addressGroup('2001:db8:0:1:ffff::2'));
  assert.notEqual(addressGroup('2001:db8:0:1::1'), addressGroup('2001:db8:0:2::1'));
  // An interface, or any text in its place, is not a part of the address.
  for (const zone of ['eth0', 'eth0.100', 'fff:10.1.2.3']) {
    assert.equal(addressGroup(`2001:db8:0:1::1%${zone}`), addressGroup('2001:db8:0:1::1'), zone);
    assert.equal(trustOf(['fe80::/10'])(`fe80::1%${zone}`, 0), true, zone);
    assert.equal(trustOf(['loopback'])(`fe80::1%${zone}`, 0), false, zone);
  }
});

/** The client of each X-Forwarded-For, for a server that trusts these proxies. */
async function clientsOf(t: TestContext, proxies: string, lists: readonly string[]): Promise<string[]> {
  const got: string[] = [];
  const beacon = async ({ peer }: Beacon) => {
    got.push(peer.address);
    return { status: 200, body: {} };
  };
  const { ask } = await startHttp(t, { beacon, flags: ['--trust-proxy', proxies] });
  for (const list of lists)
    await ask('POST', '/v1/visit?site=demo', { headers: { 'x-forwarded-for': list }, body: {} });
  return got;
}

test('the client is the nearest address that is not a trusted proxy, or else the farthest valid address', async (t) => {
  const cases: [list: string, client: string][] = [
    ['203.0.113.9', '203.0.113.9'],
    ['203.0.113.9:4711', '203.0.113.9'],
    ['[2001:db8:0:1::1]:4711', '32.1.13.184.0.0.0.1'],
    ['198.51.100.1, 203.0.113.9:4711', '203.0.113.9'],
    ['203.0.113.9:4711, 10.0.0.5:80', '203.0.113.9'],
    ['203.0.113.9, [::ffff:10.0.0.5]:80', '203.0.113.9'],
    ['garbage, 203.0.113.9', '203.0.113.9'],
    ['203.0.113.9, garbage', '127.0.0.1'],
    ['garbage', '127.0.0.1'],
    ['garbage, 10.0.0.5', '10.0.0.5'],
    ['203.0.113.9, , 10.0.0.5,', '203.0.113.9'],
    [',', '127.0.0.1'],
  ];
  const clients = await clientsOf(
    t,
    '127.0.0.1,10.0.0.0/8',
    cases.map(([list]) => list),
  );
  assert.deepEqual(
    clients,
    cases.map(([, client]) => client),
  );
});

test('a server that trusts every proxy uses the farthest valid address', async (t) => {
  const lists = ['203.0.113.9:1, 198.51.100.1', 'garbage, 198.51.100.1:2', 'garbage'];
  assert.deepEqual(await clientsOf(t, 'yes', lists), ['203.0.113.9', '198.51.100.1', '127.0.0.1']);
});

/** Forms in which each request has another text and the same client. */
const FORMS: Record<string, (n: number) => string> = {
  'a port': (n) => `203.0.113.10:${40_000 + n}`,
  'brackets and a port': (n) => `[2001:db8:1::1]:${40_000 + n}`,
  'a text that is not an address': (n) => `garbage-${n}`,
  'an octal number': (n) => `203.0.113.0${n}0`,
  'the text that the client wrote before the proxy': (n) => `198.51.100.${n}, 203.0.113.11:${n}`,
};

test('no form of an address escapes the limits of the counter, of the API, and of sign-ins', async (t) => {
  for (const [name, form] of Object.entries(FORMS)) {
    const { ask } = await startHttp(t, { flags: ['--trust-proxy', '127.0.0.1', '--max-hits', '3'] });
    const statuses = { hits: new Set<number>(), api: new Set<number>(), 'sign-in': new Set<number>() };
    for (let n = 0; n < 6; n++) {
      const headers = { 'user-agent': AGENT, 'x-forwarded-for': form(n) };
      statuses.hits.add((await ask('POST', '/v1/hits/x?site=demo', { headers })).status);
    }
    for (let n = 0; n < 605; n++)
      statuses.api.add((await ask('GET', '/v1/sites', { headers: { 'x-forwarded-for': form(n % 256) } })).status);
    assert.deepEqual([statuses.hits, statuses.api], [new Set([200, 429]), new Set([401, 429])], name);
  }
});

test('sign-ins are counted by address, in whatever form a proxy writes it', async (t) => {
  const { ask } = await startHttp(t, { flags: ['--trust-proxy', '127.0.0.1'] });
  const statuses: number[] = [];
  for (let n = 0; n < 40 && !statuses.includes(429); n++) {
    const headers = { 'x-forwarded-for': `203.0.113.10:${40_000 + n}` };
    statuses.push((await ask('POST', '/v1/session/link', { headers, body: { token: `x${n}` } })).status);
  }
  assert.ok(statuses.includes(429), String(statuses));
});
