/** Heatmaps over HTTP: numbers, bytes and images. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decode } from 'fast-png';
import { encodeHeat } from '../src/heat/bytes.ts';
import { EDGE, HOTTEST, LINE, PALETTE } from '../src/heat/palette.ts';
import { extentOf, PICTURE_LIMIT, pictureSize, renderHeat } from '../src/heat/picture.ts';
import { HEAT_KINDS, type Heat, type HeatKind } from '../src/model/heat.ts';
import { depthOf, reached } from '../src/model/scroll-depth.ts';
import { Reader } from '../src/protocol/reader.ts';
import { codeOf, startHttp } from './support/http.ts';
import { click, moves, record } from './support/record.ts';
import { TOKEN } from './support/server.ts';

const HOUR = 3_600_000;
const T = Date.now() - HOUR;
const EXTENT: [number, number] = [1280, 2000];

function heat(cells: number[], { extent = EXTENT, size = 3 }: { extent?: [number, number]; size?: number } = {}): Heat {
  const counts = cells.filter((_, i) => i % size === size - 1);
  const total = counts.reduce((sum, n) => sum + n, 0);
  return { views: 1, cells, total, most: Math.max(0, ...counts), extent, elements: [] };
}

/** A picture as it was decoded: opacity and colour at a pixel. */
class Picture {
  readonly width: number;
  readonly height: number;
  readonly #indexes: ArrayLike<number>;

  constructor(png: Uint8Array) {
    const { width, height, data, palette, channels } = decode(png);
    assert.equal(channels, 1);
    assert.equal(palette?.length, 256);
    this.width = width;
    this.height = height;
    this.#indexes = data;
  }

  /** Index into the palette. */
  at(x: number, y: number): number {
    return this.#indexes[Math.floor(y) * this.width + Math.floor(x)] as number;
  }

  opacity(x: number, y: number): number {
    return PALETTE[4 * this.at(x, y) + 3] as number;
  }
}

async function picture(kind: HeatKind, from: Heat, scale = 1): Promise<Picture> {
  return new Picture(await renderHeat(kind, from, scale));
}

test('the palette goes from transparent through blue to red', () => {
  const colour = (i: number) => [...PALETTE.subarray(4 * i, 4 * i + 4)] as [number, number, number, number];
  assert.equal(colour(0)[3], 0);
  const [red, , blue, opacity] = colour(40);
  assert.ok(blue > red && opacity > 80);
  assert.ok(colour(HOTTEST)[0] > 200 && colour(HOTTEST)[2] < 60);
  for (let i = 1; i <= HOTTEST; i++) assert.ok(colour(i)[3] >= colour(i - 1)[3], `opacity of ${i}`);
});

test('an image is hot where counts are, clear where none are, and smooth in between', async () => {
  const shown = await picture('move', heat([10, 20, 1000, 40, 60, 10]));
  assert.deepEqual([shown.width, shown.height], EXTENT);
  assert.ok(shown.at(10 * 16 + 8, 20 * 16 + 8) >= HOTTEST - 3);
  // A hundredth of the most can still be seen.
  assert.ok(shown.opacity(40 * 16 + 8, 60 * 16 + 8) > 30);
  assert.equal(shown.opacity(1000, 1500), 0);
  assert.equal(shown.opacity(0, 0), 0);
  const across = Array.from({ length: 66 }, (_, i) => shown.at(168 + i, 328));
  for (const [i, value] of across.entries()) {
    if (i === 0) continue;
    const step = (across[i - 1] as number) - value;
    assert.ok(step >= 0 && step < 16, `a step of ${step} at ${i}`);
  }
  assert.equal(across.at(-1), 0);
});

test('a single count is round in every colour level', async () => {
  for (const scale of [1, 2, 5]) {
    const shown = await picture('click', heat([40, 60, 1]), scale);
    const middle = { x: (40 * 16 + 8) / scale, y: (60 * 16 + 8) / scale };
    /** How far from the middle the colour falls below a level, page pixels. */
    const radius = (angle: number, level: number) => {
      let r = 0;
      while (shown.at(middle.x + r * Math.cos(angle), middle.y + r * Math.sin(angle)) > level) r += 0.5;
      return r * scale;
    };
    for (const level of [10, 60, 120, 200]) {
      const radii = Array.from({ length: 16 }, (_, i) => radius((i * Math.PI) / 8, level));
      const [least, most] = [Math.min(...radii), Math.max(...radii)];
      assert.ok(most - least < 0.12 * most + 2 * scale, `level ${level}, scale ${scale}: ${least} to ${most}`);
    }
  }
});

test('images of any scale show the same places', async () => {
  const cells = [10, 20, 50, 70, 100, 50];
  for (const scale of [1, 2, 3, 7, 16]) {
    const shown = await picture('click', heat(cells), scale);
    assert.deepEqual([shown.width, shown.height], [Math.floor(1280 / scale), Math.floor(2000 / scale)]);
    const at = (column: number, row: number) =>
      shown.at(((column * 16 + 8) * shown.width) / 1280, ((row * 16 + 8) * shown.height) / 2000);
    assert.ok(at(10, 20) > 0.8 * HOTTEST, `scale ${scale}`);
    assert.ok(at(70, 100) > 0.8 * HOTTEST, `scale ${scale}`);
    assert.equal(at(40, 60), 0);
  }
});

test('counts at and beyond the edges of a page are drawn without error', async () => {
  const shown = await picture('move', heat([0, 0, 9, 79, 0, 9, 90, 50, 9, 79, 124, 9, 0, 130, 9]));
  for (const [x, y] of [
    [0, 0],
    [1279, 0],
    [1279, 1999],
  ] as const)
    assert.ok(shown.at(x, y) > 150, `${x}, ${y}`);
  assert.equal(shown.opacity(640, 1000), 0);
});

test('a scroll map shows the share of visitors that reached each depth, with lines at 100, 75, 50 and 25 %', async () => {
  // Of eight views one ended at row 9, two at 19, and so on.
  const cells = [9, 1, 19, 2, 49, 2, 79, 2, 99, 1];
  const shown = await picture('scroll', heat(cells, { size: 2 }));
  const share = (y: number) => shown.at(600, y) / HOTTEST;
  assert.equal(share(5), 1);
  assert.ok(Math.abs(share(15 * 16) - 7 / 8) < 0.01);
  assert.ok(Math.abs(share(90 * 16) - 1 / 8) < 0.01);
  assert.equal(shown.opacity(600, 101 * 16), 0);
  assert.equal(shown.at(0, 90 * 16), shown.at(1279, 90 * 16));
  for (const [y, part] of [
    [10 * 16, 1],
    [20 * 16, 0.75],
    [50 * 16, 0.5],
    [80 * 16, 0.25],
  ] as const) {
    assert.equal(depthOf(cells, part), y, `depth of ${part}`);
  }
});

test('a line of a scroll map is where the share falls below its value', async () => {
  const cells = [9, 1, 19, 1, 49, 1, 79, 1];
  const shown = await picture('scroll', heat(cells, { size: 2 }));
  for (const y of [10 * 16, 20 * 16, 50 * 16, 80 * 16]) {
    assert.equal(shown.at(300, y), LINE, `line at ${y}`);
    assert.equal(shown.at(300, y - 2), EDGE);
    assert.ok(shown.at(300, y - 4) <= HOTTEST);
    assert.ok(shown.at(300, y + 4) <= HOTTEST);
  }
});

test('the depth reached by a share of visitors agrees with a count', () => {
  const ends = fc.array(fc.nat(50), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(ends, fc.constantFrom(0.75, 0.5, 0.25), (rows, share) => {
      const counts = new Map<number, number>();
      for (const row of rows) counts.set(row, (counts.get(row) ?? 0) + 1);
      const cells = [...counts].sort((a, b) => a[0] - b[0]).flat();
      const saw = (row: number) => rows.filter((end) => end >= row).length;
      assert.deepEqual(
        reached(cells),
        Array.from({ length: Math.max(...rows) + 1 }, (_, row) => saw(row)),
      );
      const depth = depthOf(cells, share) / 16;
      assert.ok(saw(depth - 1) >= share * rows.length);
      assert.ok(saw(depth) < share * rows.length);
    }),
  );
});

test('a page without counts, or without known size, gives a clear image', async () => {
  for (const kind of HEAT_KINDS) {
    const size = kind === 'scroll' ? 2 : 3;
    const empty = await picture(kind, heat([], { size }));
    assert.deepEqual([empty.width, empty.height, empty.opacity(640, 1000)], [1280, 2000, 0]);
    const unknown = await picture(kind, heat([], { size, extent: [0, 0] }));
    assert.deepEqual([unknown.width, unknown.height, unknown.opacity(0, 0)], [1, 1, 0]);
  }
  // Without a told extent, the page reaches as far as its cells.
  assert.deepEqual(extentOf('move', heat([3, 5, 1, 9, 7, 1], { extent: [0, 0] })), [160, 128]);
});

test('no image exceeds the size limits, whatever counts it gets', async () => {
  fc.assert(
    fc.property(fc.nat(40_000), fc.nat(10_000_000), fc.integer({ min: 1, max: 64 }), (wide, high, scale) => {
      const extent = extentOf('move', heat([], { extent: [wide, high] }));
      const [width, height] = pictureSize(extent, scale);
      assert.ok(width >= 1 && width <= PICTURE_LIMIT.width && width <= 32_768 / scale + 1);
      assert.ok(height >= 1 && height <= PICTURE_LIMIT.height);
      assert.ok(width * height <= PICTURE_LIMIT.pixels);
    }),
  );
  const shown = await picture('move', heat([2047, 16_383, 5], { extent: [32_768, 262_144] }));
  assert.ok(shown.width * shown.height <= PICTURE_LIMIT.pixels);
  assert.ok(shown.at(shown.width - 1, shown.height - 1) > 100);
});

/** Reads the bytes as docs/protocol.md tells a stranger to. */
function readBytes(bytes: Uint8Array) {
  const r = new Reader(bytes, 0, bytes.length);
  assert.equal(r.byte(), 1);
  const kind = HEAT_KINDS[r.byte()];
  const [width, height, views, total, most] = [r.varint(), r.varint(), r.varint(), r.varint(), r.varint()];
  const cells: number[] = [];
  for (let row = 0, column = 0; !r.atEnd(); ) {
    const down = r.varint();
    row += down;
    if (kind === 'scroll') cells.push(row, r.varint());
    else {
      column = (down === 0 ? column : 0) + r.varint();
      cells.push(column, row, r.varint());
    }
  }
  return { kind, extent: [width, height], views, total, most, cells };
}

test('cells decode from their bytes as encoded', () => {
  const cell = fc.tuple(fc.nat(16_383), fc.nat(2047), fc.integer({ min: 1, max: 2 ** 40 }));
  const key = ([row, column]: [number, number, number]) => row * 2048 + column;
  fc.assert(
    fc.property(fc.uniqueArray(cell, { selector: key }), fc.constantFrom(...HEAT_KINDS), (all, kind) => {
      const sorted = all.sort((a, b) => key(a) - key(b));
      const rows = kind === 'scroll' ? sorted.filter(([row], i) => row !== sorted[i - 1]?.[0]) : sorted;
      const cells = rows.flatMap(([row, column, n]) => (kind === 'scroll' ? [row, n] : [column, row, n]));
      const { elements, ...plain } = heat(cells, { size: kind === 'scroll' ? 2 : 3 });
      assert.deepEqual(readBytes(encodeHeat(kind, { ...plain, elements })), { kind, ...plain });
    }),
  );
});

async function visited(t: Parameters<typeof startHttp>[0]) {
  const http = await startHttp(t);
  const here = (id: string, width: number) => {
    const size: [number, number, number, number] = [width, 720, width, 2000];
    const samples = [
      ...moves(T, [
        [100, 200],
        [101, 201],
        [600, 900],
      ]),
      click(T + 100, 601, 905, '#buy'),
    ];
    return { id, since: T, frames: [{ size, entered: true, samples }] };
  };
  await record(http.store.archive, here('wide', 1280), here('narrow', 400));
  return http;
}

const PAGE = '/v1/heatmap?site=demo&page=/';
const PNG = '/v1/heatmap.png?site=demo&page=/';

test('a heatmap is returned as numbers, by kind and width', async (t) => {
  const http = await visited(t);
  const ask = async (more: string) => (await (await http.api('GET', PAGE + more)).json()) as Heat;
  assert.deepEqual((await ask('')).cells, [6, 12, 4, 37, 56, 2]);
  assert.deepEqual((await ask('&width=phone')).cells, [6, 12, 2, 37, 56, 1]);
  assert.deepEqual((await ask('&width=wide')).cells, []);
  const clicks = await ask('&kind=click');
  assert.deepEqual(clicks.cells, [37, 56, 2]);
  assert.deepEqual(clicks.elements, [{ selector: '#buy', count: 2, spots: [0, 0, 2] }]);
  const scroll = await ask('&kind=scroll');
  assert.deepEqual([scroll.views, scroll.cells], [2, [44, 2]]);
  assert.deepEqual((await ask('&from=2025-11-20&to=2025-11-20')).cells, []);
});

test('the same heatmap is returned as bytes, by parameter or by Accept header', async (t) => {
  const http = await visited(t);
  const json = (await (await http.api('GET', PAGE)).json()) as Heat;
  for (const [more, accept] of [
    ['&format=binary', '*/*'],
    ['', 'application/octet-stream'],
  ] as const) {
    const headers = { authorization: `Bearer ${TOKEN}`, accept };
    const answer = await http.ask('GET', PAGE + more, { headers });
    assert.equal(answer.headers.get('content-type'), 'application/octet-stream');
    assert.equal(answer.headers.get('vary'), 'Accept');
    const { kind, cells, extent, total } = readBytes(new Uint8Array(await answer.arrayBuffer()));
    assert.deepEqual(
      { kind, cells, extent, total },
      { kind: 'move', cells: json.cells, extent: json.extent, total: 6 },
    );
  }
});

test('the image shows the numbers, and is not sent or drawn again while they stay the same', async (t) => {
  const http = await visited(t);
  const answer = await http.api('GET', `${PNG}&scale=2`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'image/png');
  assert.equal(answer.headers.get('cache-control'), 'private, no-cache');
  const shown = new Picture(new Uint8Array(await answer.arrayBuffer()));
  const { extent } = (await (await http.api('GET', PAGE)).json()) as Heat;
  assert.deepEqual(
    [shown.width, shown.height],
    extent.map((length) => Math.floor(length / 2)),
  );
  assert.ok(shown.at(52, 100) > HOTTEST - 10);
  assert.equal(shown.opacity(500, 100), 0);
  const tag = answer.headers.get('etag') as string;
  const again = (more: string) =>
    http.ask('GET', PNG + more, { headers: { authorization: `Bearer ${TOKEN}`, 'if-none-match': `"x", ${tag}` } });
  const unchanged = await again('&scale=2');
  assert.equal(unchanged.status, 304);
  assert.equal(unchanged.headers.get('etag'), tag);
  assert.equal(await unchanged.text(), '');
  for (const other of ['', '&scale=3', '&scale=2&kind=click', '&scale=2&width=phone'])
    assert.equal((await again(other)).status, 200, other);
  await record(http.store.archive, { id: 'later', since: T, frames: [{ samples: moves(T, [[100, 200]]) }] });
  assert.equal((await again('&scale=2')).status, 200);
});

test('many concurrent requests for one image all get it', async (t) => {
  const http = await visited(t);
  const answers = await Promise.all(Array.from({ length: 50 }, () => http.api('GET', PNG)));
  assert.ok(answers.every(({ status }) => status === 200));
  const pictures = await Promise.all(answers.map(async (answer) => Buffer.from(await answer.arrayBuffer())));
  assert.ok(pictures.every((one) => one.equals(pictures[0] as Buffer)));
});

test('an invalid heatmap request is rejected, and the error says what would be valid', async (t) => {
  const http = await visited(t);
  const cases: [path: string, status: number, right: RegExp][] = [
    ['/v1/heatmap?site=demo', 400, /page is missing/],
    ['/v1/heatmap?page=/', 400, /site is missing/],
    ['/v1/heatmap.png?site=nobody&page=/', 404, /no such site/],
    [`${PAGE}&kind=hover`, 400, /kind must be one of move, click, scroll/],
    [`${PAGE}&width=huge`, 400, /width must be one of phone, tablet, desktop, wide/],
    [`${PAGE}&format=xml`, 400, /format must be one of json, binary/],
    [`${PAGE}&from=today`, 400, /from must be a day/],
    [`${PAGE}&scale=2`, 400, /scale is not a known field/],
    [`${PNG}&scale=0`, 400, /scale must be a whole number from 1 to 64/],
    [`${PNG}&scale=1.5`, 400, /scale must be a whole number/],
    [`${PNG}&format=json`, 400, /format is not a known field/],
  ];
  for (const [path, status, right] of cases) {
    const answer = await http.api('GET', path);
    assert.equal(answer.status, status, path);
    assert.match(((await answer.json()) as { detail: string }).detail, right, path);
  }
  for (const path of [PAGE, PNG]) {
    const answer = await http.ask('GET', path);
    assert.equal(await codeOf(answer), 'signed-out');
  }
  const unseen = await http.api('GET', '/v1/heatmap.png?site=demo&page=/never');
  assert.equal(unseen.status, 200);
  assert.deepEqual(new Picture(new Uint8Array(await unseen.arrayBuffer())).width, 1);
});
