/** The page-visit counter: its routes, and exact counts across all workers, even when workers are killed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { AddressLimit } from '../src/http/address-limit.ts';
import { badge } from '../src/http/badge-svg.ts';
import { isLabel } from '../src/model/label.ts';
import { isPage } from '../src/model/page.ts';
import { HITS } from '../src/store/contract.ts';
import { codeOf, startHttp, type TestHttp } from './support/http.ts';
import { startServer, type TestServer, temporaryFolder } from './support/server.ts';

const BROWSER = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' };
const UNLIMITED = ['--max-hits', '1000000000'];

interface Total {
  hits: number;
  counted?: boolean;
}

type Headers = Record<string, string>;

function post({ ask }: TestHttp, path: string, headers: Headers = {}): Promise<Response> {
  return ask('POST', `/v1/hits/${path}`, { headers: { ...BROWSER, ...headers } });
}

function get({ ask }: TestHttp, path: string, headers: Headers = {}): Promise<Response> {
  return ask('GET', `/v1/hits/${path}`, { headers: { ...BROWSER, ...headers } });
}

async function total(answer: Promise<Response> | Response): Promise<number> {
  return ((await (await answer).json()) as Total).hits;
}

function addSite({ store }: TestHttp, key: string, ...origins: string[]): Promise<boolean> {
  return store.addSite({ key, name: key, origins, created: 1, firstSeen: null });
}

/** The texts of an SVG's elements, by name. Fails where it is not well-formed XML of elements, attributes and texts. */
function parse(svg: string): Map<string, string[]> {
  const texts = new Map<string, string[]>();
  const open: { name: string; text: string }[] = [];
  const token = /<(\/?)([a-zA-Z]+)((?: [a-zA-Z:-]+="[^"<>]*")*)(\/?)>|([^<>]+)|(.)/gsu;
  for (const [, end, name = '', attributes = '', alone, text, other] of svg.matchAll(token)) {
    assert.equal(other, undefined, `not well-formed: ${svg}`);
    for (const part of [attributes, text ?? ''])
      assert.doesNotMatch(part, /&(?!(amp|lt|gt|quot|#39);)|\p{Cc}|\p{NChar}/u, `not escaped: ${svg}`);
    if (text !== undefined) (open.at(-1) as { text: string }).text += text;
    else if (end) {
      const closed = open.pop();
      assert.equal(closed?.name, name);
      texts.set(name, [...(texts.get(name) ?? []), unescaped(closed?.text ?? '')]);
    } else if (!alone) open.push({ name, text: '' });
  }
  assert.equal(open.length, 0);
  return texts;
}

function unescaped(text: string): string {
  const names: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return text.replace(/&([a-z#0-9]+);/g, (_, name) => names[name] as string);
}

test('a POST counts a visit and answers with the new total, and a GET reads the total', async (t) => {
  const http = await startHttp(t);
  const first = await post(http, 'garden.html?site=demo');
  assert.equal(first.status, 200);
  assert.match(first.headers.get('content-type') ?? '', /^application\/json/);
  assert.equal(first.headers.get('cache-control'), 'no-store');
  assert.deepEqual(await first.json(), { hits: 1, counted: true });
  assert.equal(await total(post(http, 'garden.html?site=demo')), 2);
  for (let i = 0; i < 3; i++) assert.deepEqual(await (await get(http, 'garden.html?site=demo')).json(), { hits: 2 });
  assert.equal(await total(get(http, 'other.html?site=demo')), 0);
});

test('an image counts a visit and shows the new total, and HEAD does not count', async (t) => {
  const http = await startHttp(t);
  const { ask } = http;
  for (const count of [1, 2]) {
    const picture = await get(http, 'shop/pots.svg?site=demo');
    assert.match(picture.headers.get('content-type') ?? '', /^image\/svg\+xml/);
    assert.equal(picture.headers.get('cache-control'), 'no-store');
    assert.equal(picture.headers.get('cross-origin-resource-policy'), 'cross-origin');
    assert.match(picture.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    const texts = parse(await picture.text());
    assert.deepEqual(texts.get('title'), [`visits: ${count}`]);
    assert.deepEqual(texts.get('text'), ['visits', String(count)]);
  }
  for (const path of ['shop/pots.svg', 'shop/pots']) {
    const head = await ask('HEAD', `/v1/hits/${path}?site=demo`, { headers: BROWSER });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
  }
  assert.equal(await total(get(http, 'shop/pots?site=demo')), 2);
});

test('a page whose name ends in .svg can be counted and read', async (t) => {
  const http = await startHttp(t);
  assert.equal(await total(post(http, 'logo.svg?site=demo')), 1);
  assert.deepEqual(parse(await (await get(http, 'logo.svg.svg?site=demo')).text()).get('text'), ['visits', '2']);
  assert.equal(await total(get(http, 'logo%2esvg?site=demo')), 2);
  assert.equal(await total(get(http, 'logo?site=demo')), 0);
});

test('one page has one count, in whatever form its address is written', async (t) => {
  const http = await startHttp(t);
  const { url, port } = { url: http.url, port: Number(new URL(http.url).port) };
  for (const path of ['a%20b/%C3%A9', 'a%20b/é', '/a%20b/é', '%61%20b%2Fé']) await post(http, `${path}?site=demo`);
  // As no browser writes it, but a proxy might.
  for (const target of ['/v1/h%69ts/a%20b/%c3%a9?site=demo', `${url}/v1/hits/a%20b/%c3%a9?site=demo`]) {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.write(`POST ${target} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`);
    await once(socket, 'close');
    assert.match(answer, /^HTTP\/1\.1 200 /);
  }
  assert.equal(await http.store.hits('demo', '/a b/é'), 6);
  for (const path of ['', '/']) await post(http, `${path}?site=demo`);
  assert.equal(await http.store.hits('demo', '/'), 2);
  await post(http, 'shop/?site=demo');
  assert.equal(await http.store.hits('demo', '/shop'), 0);
  assert.equal(await http.store.hits('demo', '/shop/'), 1);
});

test('any valid page passes through an address unchanged', async (t) => {
  const http = await startHttp(t, { flags: UNLIMITED });
  // What `fetch` itself would take out of the address.
  const name = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((text) => !/^\/|^\.\.?$/.test(text));
  await fc.assert(
    fc.asyncProperty(name, async (text) => {
      const answer = await post(http, `${encodeURIComponent(text)}?site=demo`);
      assert.equal(answer.status, isPage(`/${text}`) ? 200 : 400);
      if (answer.ok) assert.equal(await total(answer), await http.store.hits('demo', `/${text}`));
    }),
    { numRuns: 200, examples: [['\u0000'], ['a\u007f'], ['💥'], ['%'], ['a?b#c']] },
  );
});

test('an invalid page is rejected', async (t) => {
  const http = await startHttp(t);
  for (const path of ['%00', 'a%0Ab', '%7F', '%zz', '%ff', '%', 'x'.repeat(1024), '%C3%A9'.repeat(512)])
    for (const answer of [await post(http, `${path}?site=demo`), await get(http, `${path}.svg?site=demo`)]) {
      assert.equal(answer.status, 400, path);
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
      assert.equal(await codeOf(answer), 'bad-page', path);
    }
  assert.equal((await post(http, `${'x'.repeat(1023)}?site=demo`)).status, 200);
});

test('without a site parameter, the only site counts', async (t) => {
  const http = await startHttp(t);
  await post(http, 'a');
  assert.equal(await http.store.hits('demo', '/a'), 1);
  await addSite(http, 'shop');
  await post(http, 'a');
  assert.equal(await http.store.hits('shop', '/a'), 1);
  await addSite(http, 'blog');
  const answer = await post(http, 'a');
  assert.equal(answer.status, 400);
  assert.match(((await answer.json()) as { detail: string }).detail, /site=KEY/);
  for (const key of ['none', '', 'x'.repeat(500), '%00'])
    assert.equal(await codeOf(await post(http, `a?site=${key}`)), 'unknown-site');
});

test('only pages of origins allowed by the site count, and may read the response', async (t) => {
  const http = await startHttp(t);
  await addSite(http, 'shop', 'https://shop.example');
  const cases: [headers: Headers, post: number, picture: number][] = [
    [{}, 200, 200],
    [{ origin: 'https://shop.example' }, 200, 200],
    [{ origin: 'https://evil.example' }, 403, 403],
    [{ origin: 'null' }, 403, 403],
    [{ referer: 'https://shop.example/pots?a=b' }, 200, 200],
    [{ referer: 'https://evil.example/https://shop.example' }, 200, 403],
    [{ referer: 'https://shop.example.evil.example/' }, 200, 403],
    [{ referer: 'nonsense' }, 200, 403],
  ];
  let counted = 0;
  for (const [headers, posted, drawn] of cases)
    for (const [answer, status] of [
      [await post(http, 'a?site=shop', headers), posted],
      [await get(http, 'a.svg?site=shop', headers), drawn],
    ] as const) {
      assert.equal(answer.status, status, JSON.stringify(headers));
      if (status === 200) counted += 1;
      else assert.equal(await codeOf(answer), 'origin-not-allowed');
      const allowed = headers.origin === 'https://shop.example' ? headers.origin : null;
      assert.equal(answer.headers.get('access-control-allow-origin'), allowed);
      assert.equal(answer.headers.get('vary'), 'Origin');
    }
  assert.equal(await http.store.hits('shop', '/a'), counted);
  assert.equal((await get(http, 'a?site=shop', { origin: 'https://evil.example' })).status, 403);
});

test("a preflight is answered for the site's origins", async (t) => {
  const http = await startHttp(t);
  await addSite(http, 'shop', 'https://shop.example');
  const ask = (origin: string) => http.ask('OPTIONS', '/v1/hits/a?site=shop', { headers: { origin } });
  const allowed = await ask('https://shop.example');
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://shop.example');
  assert.equal(allowed.headers.get('access-control-allow-methods'), 'GET, POST');
  assert.equal((await ask('https://evil.example')).status, 403);
  assert.equal((await http.ask('DELETE', '/v1/hits/a?site=shop')).status, 405);
  assert.equal(await http.store.hits('shop', '/a'), 0);
});

test('bots get the total and are not counted, unless the option counts bots', async (t) => {
  const bots = ['Googlebot/2.1 (+http://www.google.com/bot.html)', 'curl/8.0', 'Mozilla/5.0 (compatible; bingbot/2.0)'];
  for (const [flag, most] of [
    ['no', 1],
    ['yes', 7],
  ] as const) {
    const http = await startHttp(t, { flags: ['--count-bots', flag] });
    await post(http, 'a?site=demo');
    for (const agent of bots) {
      const answer = (await (await post(http, 'a?site=demo', { 'user-agent': agent })).json()) as Total;
      assert.equal(answer.counted, flag === 'yes');
      const picture = await get(http, 'a.svg?site=demo', { 'user-agent': agent });
      assert.equal(parse(await picture.text()).get('text')?.[1], String(answer.hits + (flag === 'yes' ? 1 : 0)));
    }
    assert.equal(await http.store.hits('demo', '/a'), most);
  }
});

test('an address over its rate limit is told when to try again', async (t) => {
  const http = await startHttp(t, { flags: ['--max-hits', '3', '--trust-proxy', 'yes'] });
  const ask = (address: string) => post(http, 'a?site=demo', { 'x-forwarded-for': address });
  for (let i = 0; i < 3; i++) assert.equal((await ask('192.0.2.1')).status, 200);
  const refused = await ask('192.0.2.1');
  assert.equal(refused.status, 429);
  assert.equal(await codeOf(refused), 'too-many-requests');
  assert.equal(refused.headers.get('retry-after'), '20');
  assert.equal((await ask('192.0.2.2')).status, 200);
  assert.equal(await http.store.hits('demo', '/a'), 4);
});

test('the number of stored addresses is bounded, and a flood does not reset the limit of a busy address', () => {
  const limit = new AddressLimit(2);
  const isRefused = (address: string) => {
    try {
      return limit.count(address);
    } catch (error) {
      return (error as { statusCode: number }).statusCode === 429;
    }
  };
  for (let i = 0; i < 2; i++) isRefused('busy');
  for (let i = 0; i < 30_000; i++) {
    isRefused(`10.${i}`);
    if (i % 1000 === 0) assert.ok(isRefused('busy'));
  }
  assert.ok(isRefused('busy'));
  isRefused('10.29999');
  assert.ok(isRefused('10.29999'));
  assert.ok(!isRefused('10.0'));
});

test('when counts cannot be written, the response says so, and the log says so once', async (t) => {
  const http = await startHttp(t, { countHit: () => Promise.reject(new Error('no space left')) });
  for (let i = 0; i < 3; i++) {
    const answer = await post(http, 'a?site=demo', { origin: http.url });
    assert.equal(answer.status, 503);
    assert.equal(answer.headers.get('retry-after'), '5');
    assert.equal(answer.headers.get('access-control-allow-origin'), http.url);
    assert.equal(await codeOf(answer), 'unavailable');
  }
  assert.equal(http.log.filter((line) => line.includes('no space left')).length, 1);
});

test('a badge is well-formed and shows its texts, for any label', async (t) => {
  const label = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((text) => isLabel(text, 1000));
  fc.assert(
    fc.property(label, fc.nat(), (text, count) => {
      const texts = parse(badge(text, count));
      assert.deepEqual(texts.get('title'), [`${text}: ${count}`]);
      assert.deepEqual(texts.get('text'), [text, String(count)]);
    }),
    {
      examples: [
        ['</text><script>alert(1)</script>', 1],
        ["\"' onload='x", 2],
        ['&amp;]]>', 3],
        ['花📷', 4],
      ],
    },
  );
  const http = await startHttp(t);
  const attack = '"><script>alert(1)</script>&';
  const picture = await get(http, `a.svg?site=demo&label=${encodeURIComponent(attack)}`);
  assert.deepEqual(parse(await picture.text()).get('text'), [attack, '1']);
  for (const bad of ['', '%00', '%0A', '%E2%80%AE', '%20', '%E2%80%8D', '%EF%BF%BF', '%EE%80%80', 'x'.repeat(41)])
    assert.equal(await codeOf(await get(http, `a.svg?site=demo&label=${bad}`)), 'bad-request', bad);
});

/** Joiners, tags of flags, marks, a sign of Arabic, and an emoji of the newest Unicode. */
const JOINED = [
  'بازدید\u200cها',
  '👨\u200d👩\u200d👧 visits',
  'జ్ఞ\u200cా',
  '🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}',
  '\u0601 ١٢',
  '👩🏽\u200d💻',
  '\u{1fae8}\u{1fae9}',
  // Parts of words: of Mongolian, Khmer, Hebrew and Arabic beside numbers, and where a word may or must not be broken.
  '\u182c\u180e\u1820',
  'ការ\u200bមើល',
  'ביקורים (C++)\u200f',
  'זה\u200e 5',
  'زيارات \u061c5',
  'Seiten\u00adaufrufe',
  'a\u2060b',
  // Signs that can be seen, alone too.
  '\u070f\u0710\u0712',
  '\u0890\u0661',
  '\u06dd',
  '👨\u200d👩\u200d👧'.repeat(40),
  '\u{13000}\u{13430}\u{13000}',
];

/** Nothing in them can be seen, or a line ends in them, or they turn what stands beside them. */
const UNSEEN = [
  ...[
    '\u3164',
    '\u2800',
    '\ufe0f',
    '\u034f',
    '\u115f',
    '\uffa0',
    '\u17b4',
    '\u180b',
    '\u{e0100}',
    '\u{1d159}',
    '\u{13441}',
  ],
  ...['\u0301', ' \u0301\u0338', '\u00ad', '\u200b', '\u200f', '\u2060', '\u3000', '\u2800\u3164 \ufe0f'],
  ...['a\u2028b', 'a\u2029b', 'a\u0085b', 'a\u202eb', 'a\u2066b', 'a\ufeffb', 'a\u{e0001}b', 'a\ufff9b', 'a\u{e0000}b'],
  'x'.repeat(101),
  '👨\u200d👩\u200d👧'.repeat(101),
  `a${'\u0301'.repeat(1600)}`,
];

test('a label and a name must have visible characters, on one line', async (t) => {
  const http = await startHttp(t, { flags: UNLIMITED });
  for (const [no, text] of UNSEEN.entries()) {
    const picture = await get(http, `unseen.svg?site=demo&label=${encodeURIComponent(text)}`);
    assert.equal(await codeOf(picture), 'bad-request', JSON.stringify(text));
    const origins = ['http://a.example'];
    for (const [path, body] of [
      ['/v1/tokens', { name: text }],
      ['/v1/sites', { key: `site-${no}`, name: text, origins }],
    ] as const)
      assert.equal(await codeOf(await http.api('POST', path, body)), 'bad-request', `${path} ${JSON.stringify(text)}`);
  }
  assert.ok(!isLabel('a'.repeat(100_000), 40), 'no time is spent on what is far too long');
});

test('a label may contain joiners that its script or its emoji need', async (t) => {
  const http = await startHttp(t, { flags: UNLIMITED });
  for (const label of JOINED) {
    const picture = await get(http, `joined.svg?site=demo&label=${encodeURIComponent(label)}`);
    assert.equal(picture.status, 200, label);
    assert.equal(parse(await picture.text()).get('text')?.[0], label);
    const made = await http.api('POST', '/v1/tokens', { name: label });
    assert.equal(made.status, 201, label);
  }
  const decomposed = await get(http, `joined.svg?site=demo&label=${encodeURIComponent('café'.normalize('NFD'))}`);
  assert.equal(parse(await decomposed.text()).get('text')?.[0], 'café'.normalize('NFC'));
});

test('a badge is as wide as the visible part of its label', () => {
  const width = (label: string) => Number(/width="(\d+)"/.exec(badge(label, 1))?.[1]);
  assert.equal(width('👨\u200d👩\u200d👧'), width('👨'));
  assert.equal(width(JOINED[3] as string), width('🏴'));
  assert.equal(width('بازدید\u200cها'), width('بازدیدها'));
  assert.equal(width('e\u0301'), width('e'));
  assert.equal(width('Seiten\u00adaufrufe\u200f'), width('Seitenaufrufe'));
  assert.equal(width('🇪🇸'), width('🏴'));
  assert.ok(width('花花') > width('ab'));
});

test('a request with a body, or after one, is answered like any other', async (t) => {
  const http = await startHttp(t);
  for (const body of ['', 'x', 'x'.repeat(100_000)])
    assert.equal((await http.ask('POST', '/v1/hits/a?site=demo', { headers: BROWSER, body })).status, 200);
  assert.equal(await total(get(http, 'a?site=demo')), 3);
});

/** Visits until `stop` says so, on so many connections; each is a new one after it was cut. */
async function visit({ url }: TestServer, clients: number, pages: string[], stop: () => boolean) {
  const answered: number[][] = pages.map(() => []);
  let failed = 0;
  const one = async (first: number) => {
    for (let i = first; !stop(); i++) {
      const page = i % pages.length;
      try {
        const answer = await fetch(`${url}/v1/hits/${pages[page]}?site=demo`, { method: 'POST', headers: BROWSER });
        assert.equal(answer.status, 200);
        answered[page]?.push(((await answer.json()) as Total).hits);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, i) => one(i)));
  return { answered, failed };
}

/** Asked again where a connection was one to a worker that is no more. */
async function stored({ url }: TestServer, page: string): Promise<number> {
  for (const end = Date.now() + 60_000; ; )
    try {
      return await total(fetch(`${url}/v1/hits/${page}?site=demo`, { headers: BROWSER }));
    } catch (error) {
      if (Date.now() > end) throw error;
    }
}

test('all workers together count exactly, every response has another number, and a restart keeps the totals', async (t) => {
  const data = temporaryFolder(t);
  const server = await startServer(t, { data, workers: 2, flags: UNLIMITED });
  const pages = ['a', 'b', 'c'];
  let visits = 0;
  const { answered, failed } = await visit(server, 40, pages, () => visits++ >= 600);
  assert.equal(failed, 0);
  for (const [i, page] of pages.entries()) {
    const numbers = answered[i] as number[];
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      numbers.map((_, at) => at + 1),
    );
    assert.equal(await stored(server, page), numbers.length);
  }
  await server.stop();
  const again = await startServer(t, { data, workers: 1 });
  for (const [i, page] of pages.entries()) assert.equal(await stored(again, page), answered[i]?.length);
});

test('killing workers loses no answered visit', async (t) => {
  const data = temporaryFolder(t);
  const server = await startServer(t, { data, workers: 4, flags: UNLIMITED });
  let [kills, rounds] = [0, 0];
  // Workers that die often are started again more and more slowly; one is left.
  const killing = setInterval(() => {
    const pids = server.workerPids();
    if (pids.length > 1) process.kill(pids[kills++ % pids.length] as number, 'SIGKILL');
    rounds += 1;
  }, 300);
  t.after(() => clearInterval(killing));
  const { answered, failed } = await visit(server, 12, ['a'], () => kills >= 6 || rounds >= 40);
  clearInterval(killing);
  const numbers = answered[0] as number[];
  const kept = await stored(server, 'a');
  t.diagnostic(`${numbers.length} answered, ${failed} cut, ${kept} stored, ${kills} workers killed`);
  assert.ok(numbers.length > 0 && failed > 0 && kills >= 6);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.ok(kept >= numbers.length && kept <= numbers.length + failed, `${kept} stored`);
  assert.ok(numbers.every((number) => number <= kept));
  server.process.kill('SIGKILL');
  await once(server.process, 'exit');
  const again = await startServer(t, { data, workers: 1 });
  assert.equal(await stored(again, 'a'), kept);
});

test('a site counts only up to its maximum number of pages', async (t) => {
  const http = await startHttp(t);
  const pages = Array.from({ length: HITS.pages - 1 }, (_, i) => `/${i}`);
  for (let i = 0; i < pages.length; i += HITS.waiting)
    await Promise.all(pages.slice(i, i + HITS.waiting).map((page) => http.store.hit('demo', page)));
  assert.equal((await post(http, 'last?site=demo')).status, 200);
  const refused = await post(http, 'more?site=demo');
  assert.equal(refused.status, 403);
  assert.equal(await codeOf(refused), 'too-many-pages');
  assert.equal(await total(post(http, 'last?site=demo')), 2);
  // Removing it forgets them all.
  await http.store.removeSite('demo', Date.now());
  await addSite(http, 'demo');
  assert.equal(await total(post(http, 'more?site=demo')), 1);
  assert.equal(await http.store.hits('demo', '/7'), 0);
});
