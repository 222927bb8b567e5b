/**
 * Draws clicks on elements where the elements are in documents of one width, the most common one. One button is in
 * another place in each width of a window, and would be as many spots on a heatmap.
 *
 * A click tells where it was on the page and in its element, and the selector. Selectors are short: several elements
 * may have the same one. So there are two ways, for each selector and for each direction:
 *
 * - If the clicks of each width fit one box, that is the element. A click of another width is drawn at its place
 *   within the box of the common width.
 * - If they do not, there are several elements, or one element that moves. Then all clicks of a width are moved to the
 *   side by the distance that brings most of them onto clicks of the common width in the same part of an element.
 *   Rows stay as they are.
 */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import { CELL } from '../../model/heat.ts';
import { type Place, SPOTS, unpackPlace, widthIn } from './place.ts';
import { cellOf } from './sums.ts';
import { type Counted, countInTile } from './tile.ts';

/** Share of the clicks that must be in their place, to within a cell and a spot, for a box to fit. */
const FIT_SHARE = 0.9;
/**
 * How strongly the size of a box with few clicks is pulled towards the average size over all widths, in units of the
 * clicks' variance within the element.
 */
const SHRINKAGE = 0.05;
/** How far an element may be from the place that a usual layout would give it, pixels. */
const LAYOUT_SLACK = 32;
/** Maximum number of places per width, the most clicked ones, that are compared with those of another width. */
const MAX_COMPARED = 256;

interface Clicks extends Place {
  n: number;
}

/** Clicks on the elements of one selector, by the width of the document. */
type ByWidth = Map<number, Clicks[]>;

/** Extent of an element in one direction, pixels. */
interface Span {
  start: number;
  size: number;
}

type Axis = 'x' | 'y';

/**
 * Moves the clicks in `cells` to where their elements are in the most common width. Returns that width, in cells, and
 * the number of clicks with a place, or undefined if no click has one. Clicks that are not in `cells` are ignored.
 */
export function placeClicks(
  cells: Counted,
  elements: ReadonlyMap<string, Counted>,
): { width: number; placed: number } | undefined {
  const totals = clicksByWidth(elements);
  const width = mostCommonWidth(totals);
  if (width === undefined) return undefined;
  const added: Counted = new Map();
  for (const counted of elements.values()) placeElement(cells, added, byWidth(counted), width);
  for (const [cell, n] of added) countInTile(cells, cell, n);
  return { width, placed: [...totals.values()].reduce((sum, n) => sum + n, 0) };
}

function clicksByWidth(elements: ReadonlyMap<string, Counted>): Counted {
  const totals: Counted = new Map();
  for (const counted of elements.values())
    for (const [packed, n] of counted) {
      const width = widthIn(packed);
      if (width !== undefined) countInTile(totals, width, n);
    }
  return totals;
}

/** Returns the most common width. If two are equally common, the wider one, so that nothing lies beyond its edge. */
function mostCommonWidth(totals: Counted): number | undefined {
  const [most] = [...totals].sort(([a, n], [b, m]) => m - n || b - a);
  return most?.[0];
}

function byWidth(counted: Counted): ByWidth {
  const found: ByWidth = new Map();
  // Sorted, so that the same clicks always make the same picture, in whatever order their days were read.
  for (const packed of Float64Array.from(counted.keys()).sort()) {
    const width = widthIn(packed);
    const n = counted.get(packed) as number;
    if (width === undefined || n <= 0) continue;
    const click = unpackPlace(packed) as Clicks;
    click.n = n;
    getOrInsert(found, width, (): Clicks[] => []).push(click);
  }
  return found;
}

function placeElement(cells: Counted, added: Counted, all: ByWidth, width: number): void {
  const base = nearestWidth(all, width);
  // The element's position in the common width is unknown. Scaling with the width is right for elements in the middle
  // or at an edge.
  const scale = (width + 0.5) / (base + 0.5);
  const boxes: Boxes = { x: fitBoxes(all, 'x'), y: fitBoxes(all, 'y') };
  for (const [from, clicks] of all) {
    const draw = from === base ? middleOf : drawerOf(all, boxes, from, base);
    for (const click of clicks) {
      const before = cellOf(click.column * CELL, click.row * CELL);
      const n = Math.min(click.n, cells.get(before) ?? 0);
      countInTile(cells, before, -n);
      countInTile(added, cellOf(scale * draw(click, 'x'), draw(click, 'y')), n);
    }
  }
}

/** Returns the common width if there are clicks in it, otherwise the nearest width. */
function nearestWidth(all: ByWidth, width: number): number {
  const [nearest = width] = [...all.keys()].sort((a, b) => Math.abs(a - width) - Math.abs(b - width) || b - a);
  return nearest;
}

/** Returns where a click is drawn, pixels. */
type Drawer = (click: Clicks, axis: Axis) => number;

/** Returns the function that places clicks of the width `from` in the width `base`. */
function drawerOf(all: ByWidth, boxes: Boxes, from: number, base: number): Drawer {
  const isOne = (['x', 'y'] as const).every((axis) => isPlausible(boxes[axis], axis, from, base));
  const boxOf = (axis: Axis) => (isOne ? boxes[axis]?.get(base) : undefined);
  const targets = { x: boxOf('x'), y: boxOf('y') };
  const shift = targets.x ? 0 : shiftBetween(all.get(from) ?? [], all.get(base) ?? [], base - from);
  return (click, axis) => {
    const target = targets[axis];
    if (target) return target.start + target.size * shareOf(click, axis);
    return middleOf(click, axis) + (axis === 'x' ? CELL * shift : 0);
  };
}

function middleOf({ column, row }: Place, axis: Axis): number {
  return ((axis === 'x' ? column : row) + 0.5) * CELL;
}

function shareOf({ spotX, spotY }: Place, axis: Axis): number {
  return ((axis === 'x' ? spotX : spotY) + 0.5) / SPOTS;
}

/** The element's box in each width of the document; undefined if the clicks are not on one element. */
type Boxes = Record<Axis, ReadonlyMap<number, Span> | undefined>;

/** Returns the best fitting box for each width. Undefined if too few clicks fit. */
function fitBoxes(all: ByWidth, axis: Axis): ReadonlyMap<number, Span> | undefined {
  const sums = [...all].map(([width, clicks]) => ({ width, clicks, ...spreadOf(clicks, axis) }));
  const spread = sums.reduce((sum, one) => sum + one.spread, 0);
  const usual = spread > 0 ? Math.max(0, sums.reduce((sum, one) => sum + one.both, 0) / (spread + SHRINKAGE / 10)) : 0;
  const boxes = new Map<number, Span>();
  let total = 0;
  let fitting = 0;
  for (const { width, clicks, ...one } of sums) {
    const size = Math.max(0, (one.both + SHRINKAGE * usual) / (one.spread + SHRINKAGE));
    const box = { start: one.place - size * one.share, size };
    boxes.set(width, box);
    total += one.total;
    fitting += countFitting(box, clicks, axis);
  }
  return fitting >= FIT_SHARE * total ? boxes : undefined;
}

/** Counts the clicks that are in their place in a box. */
function countFitting({ start, size }: Span, clicks: readonly Clicks[], axis: Axis): number {
  const slack = CELL + size / SPOTS;
  let fitting = 0;
  for (const click of clicks)
    if (Math.abs(middleOf(click, axis) - start - size * shareOf(click, axis)) <= slack) fitting += click.n;
  return fitting;
}

/**
 * Returns the number of clicks, the means of their places and shares, the variance of the shares, and the covariance of
 * places and shares.
 */
function spreadOf(clicks: readonly Clicks[], axis: Axis) {
  let [total, place, share, spread, both] = [0, 0, 0, 0, 0];
  for (const click of clicks) {
    total += click.n;
    place += click.n * middleOf(click, axis);
    share += click.n * shareOf(click, axis);
  }
  place /= total;
  share /= total;
  for (const click of clicks) {
    const off = shareOf(click, axis) - share;
    spread += click.n * off * off;
    both += click.n * off * (middleOf(click, axis) - place);
  }
  return { total, place, share, spread, both };
}

/**
 * Returns false if no usual layout moves an element from its place in one width to its place in another. Horizontally,
 * an element stays or moves by at most the difference of the widths. Vertically, pictures above it grow with the width,
 * and texts are longer in narrow windows.
 */
function isPlausible(boxes: ReadonlyMap<number, Span> | undefined, axis: Axis, from: number, to: number): boolean {
  const [before, after] = [boxes?.get(from), boxes?.get(to)];
  if (!before || !after) return true;
  const middle = before.start + before.size / 2;
  const moved = after.start + after.size / 2 - middle;
  const wider = (to - from) * CELL;
  const slack = LAYOUT_SLACK + after.size / 4;
  if (axis === 'x') return moved >= Math.min(0, wider) - slack && moved <= Math.max(0, wider) + slack;
  const narrower = CELL * Math.max(1, Math.min(from, to));
  return Math.abs(moved) <= slack + Math.abs(wider) * (1 + middle / narrower);
}

/**
 * Returns the shift, in columns, that brings the most clicks onto others in the same part of an element. `wider`: how
 * much wider the other document is, in cells.
 */
function shiftBetween(from: readonly Clicks[], to: readonly Clicks[], wider: number): number {
  const votes: Counted = new Map();
  const [least, most] = [Math.min(0, wider), Math.max(0, wider)];
  const targets = mostClicked(to);
  for (const a of mostClicked(from))
    for (const b of targets) {
      const shift = b.column - a.column;
      if (shift < least || shift > most || Math.abs(a.spotX - b.spotX) > 1) continue;
      const weight = Math.min(a.n, b.n);
      countInTile(votes, shift, 2 * weight);
      countInTile(votes, shift - 1, weight);
      countInTile(votes, shift + 1, weight);
    }
  const middle = wider / 2;
  const [best] = [...votes].sort(([a, n], [b, m]) => m - n || Math.abs(a - middle) - Math.abs(b - middle) || a - b);
  // Most layouts are centred in the window.
  return best?.[0] ?? middle;
}

function mostClicked(clicks: readonly Clicks[]): Clicks[] {
  return [...clicks].sort((a, b) => b.n - a.n).slice(0, MAX_COMPARED);
}
