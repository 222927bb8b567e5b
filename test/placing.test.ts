/** Clicks on elements are drawn at the position of the elements in one window width. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { placeClicks } from '../src/store/record/click-places.ts';
import { heatOf } from '../src/store/record/heat.ts';
import { packPlace, unpackPlace, widthIn, widthOf } from '../src/store/record/place.ts';
import { COLUMNS, cellOf } from '../src/store/record/sums.ts';
import { type Counted, countInTile } from '../src/store/record/tile.ts';
import { seeded } from './support/seeded.ts';

/** An element in a document of this width, pixels. */
type Layout = (width: number) => { x: number; y: number; width: number; height: number };

/** Clicks on a page as the store has them. */
class Clicked {
  readonly cells: Counted = new Map();
  readonly elements = new Map<string, Counted>();

  /** A click at these shares of an element. */
  click(selector: string, layout: Layout, width: number, across: number, down: number): void {
    const box = layout(width);
    const cell = cellOf(Math.round(box.x + across * box.width), Math.round(box.y + down * box.height));
    const spot = Math.min(15, Math.floor(down * 16)) * 16 + Math.min(15, Math.floor(across * 16));
    const counted = this.elements.get(selector) ?? new Map();
    this.elements.set(selector, counted);
    countInTile(counted, packPlace(widthOf(width), cell, spot), 1);
    countInTile(this.cells, cell, 1);
  }

  /** Places the clicks; the cells that there are then, as `[column, row]`. */
  placed(): [column: number, row: number][] {
    placeClicks(this.cells, this.elements);
    return [...this.cells.keys()].map((cell) => [cell % COLUMNS, Math.floor(cell / COLUMNS)]);
  }
}

const button: Layout = (width) => ({ x: width / 2 - 80, y: 400, width: 160, height: 48 });
const WIDTHS = [1100, 1440, 1680, 1900];

/** How far cells are outside of a box, pixels. */
function outside(cells: readonly [number, number][], box: ReturnType<Layout>): number {
  return Math.max(
    ...cells.flatMap(([column, row]) => [
      box.x - (column + 0.5) * 16,
      (column + 0.5) * 16 - box.x - box.width,
      box.y - (row + 0.5) * 16,
      (row + 0.5) * 16 - box.y - box.height,
    ]),
  );
}

test('clicks on a centred button are one spot, at its place in the most common width', () => {
  const random = seeded(1);
  const clicked = new Clicked();
  for (const width of WIDTHS)
    for (let i = 0; i < (width === 1440 ? 60 : 20); i++) clicked.click('button', button, width, random(), random());
  const cells = clicked.placed();
  assert.ok(outside(cells, button(1440)) <= 16, JSON.stringify(cells));
  assert.equal(
    [...clicked.cells.values()].reduce((sum, n) => sum + n, 0),
    120,
  );
});

test('one click in each width is enough', () => {
  for (const share of [0.1, 0.5, 0.9]) {
    const clicked = new Clicked();
    for (const width of WIDTHS) clicked.click('button', button, width, share, share);
    assert.deepEqual([...clicked.cells.values()], [1, 1, 1, 1]);
    assert.equal(clicked.placed().length, 1);
  }
  const clicked = new Clicked();
  for (const [i, width] of WIDTHS.entries()) clicked.click('button', button, width, 0.2 + 0.2 * i, 0.5);
  assert.ok(outside(clicked.placed(), button(1900)) <= 16);
});

const LAYOUTS: Record<string, Layout> = {
  'at the left': () => ({ x: 40, y: 300, width: 200, height: 40 }),
  'at the right': (width) => ({ x: width - 240, y: 300, width: 200, height: 40 }),
  'as wide as the window': (width) => ({ x: 0, y: 300, width, height: 200 }),
  'half as wide': (width) => ({ x: width / 4, y: 300, width: width / 2, height: 40 }),
  'in a column of at most 1,200 pixels': (width) => ({
    x: Math.max(20, (width - 1200) / 2) + 300,
    y: 300,
    width: 120,
    height: 40,
  }),
  'under a picture that grows': (width) => ({ x: width / 2 - 60, y: 100 + width / 2, width: 120, height: 40 }),
  'under texts that break later': (width) => ({ x: width / 2 - 60, y: 2_000_000 / width, width: 120, height: 40 }),
};

for (const [name, layout] of Object.entries(LAYOUTS))
  test(`each click on an element ${name} is drawn at its place in the element`, () => {
    const random = seeded(7);
    const clicked = new Clicked();
    for (const width of [1100, 1366, 1440, 1536, 1680, 1900, 2300])
      for (let i = 0; i < (width === 1536 ? 40 : 15); i++) clicked.click('a', layout, width, random(), random());
    const error = outside(clicked.placed(), layout(1536));
    assert.ok(error <= 16 + layout(1536).width / 24, String(error));
  });

test('a click far from the middle of an element stays there', () => {
  const hero: Layout = (width) => ({ x: 0, y: 300, width, height: 400 });
  const random = seeded(3);
  const clicked = new Clicked();
  for (let i = 0; i < 50; i++) clicked.click('div', hero, 1440, random(), random());
  for (let i = 0; i < 40; i++) clicked.click('div', hero, 1900, 0.2 * random(), 0.1 * random());
  // Without the cells of the common width only the other clicks are left.
  clicked.cells.clear();
  for (const [packed, n] of clicked.elements.get('div') as Counted) {
    const { column, row } = unpackPlace(packed);
    if (widthIn(packed) === widthOf(1900)) countInTile(clicked.cells, row * COLUMNS + column, n);
  }
  for (const [column, row] of clicked.placed())
    assert.ok(column * 16 < 0.25 * 1440 && row * 16 < 300 + 0.2 * 400, `${column}, ${row}`);
});

/** Links of a navigation that have one selector. */
const links: Layout[] = Array.from({ length: 5 }, (_, i) => (width) => ({
  x: width / 2 - 300 + 120 * i,
  y: 20,
  width: 80,
  height: 24,
}));

test('links that share a selector stay separate, and each is one spot', () => {
  const random = seeded(5);
  const clicked = new Clicked();
  for (const width of [1100, 1440, 1900])
    for (const link of links)
      for (let i = 0; i < (width === 1440 ? 30 : 12); i++)
        clicked.click('a.nav', link, width, 0.2 + 0.6 * random(), random());
  const cells = clicked.placed();
  const boxes = links.map((link) => link(1440));
  for (const [column, row] of cells) {
    const error = Math.min(...boxes.map((box) => outside([[column, row]], box)));
    assert.ok(error <= 16, `${column}, ${row}: ${error}`);
  }
  for (const [i, { x, width }] of boxes.entries()) {
    const on = [...clicked.cells].filter(([cell]) => Math.abs(((cell % COLUMNS) + 0.5) * 16 - x - width / 2) <= 60);
    assert.equal(
      on.reduce((sum, [, n]) => sum + n, 0),
      54,
      `link ${i}`,
    );
  }
});

test('few clicks on distant elements that share a selector stay where they were', () => {
  const clicked = new Clicked();
  const rows = [300, 1200, 2600, 4000];
  for (const [i, width] of WIDTHS.entries()) {
    const layout: Layout = () => ({ x: 100, y: rows[i] as number, width: 300, height: 20 });
    clicked.click('a', layout, width, 0.5, 0.5);
  }
  const found = clicked.placed().map(([, row]) => row);
  assert.deepEqual(
    found.sort((a, b) => a - b),
    rows.map((y) => Math.floor((y + 10) / 16)),
  );
});

test('an element without clicks in the common width is placed by its share of the width', () => {
  const clicked = new Clicked();
  for (let i = 0; i < 9; i++) clicked.click('a', LAYOUTS['at the left'] as Layout, 1440, i / 9, 0.5);
  for (let i = 0; i < 4; i++) clicked.click('button', button, 1900, 0.5, 0.5);
  placeClicks(clicked.cells, clicked.elements);
  assert.equal(clicked.cells.get(cellOf(720, 424)), 4);
});

const anyPlace = fc.record({
  selector: fc.constantFrom('a', 'b', 'c'),
  width: fc.integer({ min: 0, max: 255 }),
  column: fc.integer({ min: 0, max: 2047 }),
  row: fc.integer({ min: 0, max: 16_383 }),
  spot: fc.integer({ min: 0, max: 255 }),
  n: fc.integer({ min: 1, max: 1000 }),
});

test('no click is lost or invented, and elements keep their counts', () => {
  fc.assert(
    fc.property(fc.array(anyPlace, { maxLength: 60 }), fc.array(anyPlace, { maxLength: 5 }), (places, others) => {
      const cells: Counted = new Map();
      const elements = new Map<string, Counted>();
      for (const { selector, width, column, row, spot, n } of places) {
        const cell = row * COLUMNS + column;
        const packed = packPlace(width, cell, spot);
        const spots = { spotX: spot % 16, spotY: Math.floor(spot / 16) };
        assert.equal(widthIn(packed), width);
        assert.deepEqual(unpackPlace(packed), { column, row, ...spots });
        const counted = elements.get(selector) ?? new Map();
        elements.set(selector, counted);
        countInTile(counted, packed, n);
        countInTile(cells, cell, n);
      }
      for (const { column, row, n } of others) countInTile(cells, row * COLUMNS + column, n);
      const total = [...places, ...others].reduce((sum, { n }) => sum + n, 0);
      const heat = heatOf('click', cells, new Map(), elements);
      assert.equal(heat.total, total);
      assert.equal(
        heat.elements.reduce((sum, one) => sum + one.count, 0),
        places.reduce((sum, { n }) => sum + n, 0),
      );
    }),
  );
});

test('places whose cells are no longer readable are skipped', () => {
  const clicked = new Clicked();
  for (const width of WIDTHS) clicked.click('button', button, width, 0.5, 0.5);
  clicked.cells.clear();
  assert.deepEqual(clicked.placed(), []);
});
