/**
 * Clicks on an element, packed as one number each: in which width of the document, where on the page, and where in
 * the element.
 */
import { CELL, MAX_COLUMN } from '../../model/heat.ts';

/** Cells along each edge of an element. */
export const SPOTS = 16;
const ALL_SPOTS = SPOTS * SPOTS;
const COLUMNS = MAX_COLUMN + 1;
/** Widths are told apart in steps of a cell, up to this one: 4,080 pixels and more. */
const MAX_WIDTH = 255;
/** So many numbers has one width: a spot for each cell of a page, of which there are 2^25. */
const WIDTH_STEP = 2 ** 33;

/** Where a click on an element was. */
export interface Place {
  /** On the page, in cells. */
  column: number;
  row: number;
  /** In the element, of a grid of 16 by 16 over it. */
  spotX: number;
  spotY: number;
}

/** The width of a document in cells. */
export function widthOf(pixels: number): number {
  return Math.min(MAX_WIDTH, Math.floor(pixels / CELL));
}

/** Packs a place. `cell`: that of the page, `spot`: that of the element, by `row × 16 + column`. */
export function packPlace(width: number, cell: number, spot: number): number {
  return (width + 1) * WIDTH_STEP + cell * ALL_SPOTS + spot;
}

/**
 * The width of the document, in cells. Undefined: it is a spot only, since the click is from before places were
 * counted, or of a client that does not tell that width.
 */
export function widthIn(packed: number): number | undefined {
  const width = Math.floor(packed / WIDTH_STEP) - 1;
  return width >= 0 && width <= MAX_WIDTH ? width : undefined;
}

/** What `packPlace` packed beside the width. */
export function unpackPlace(packed: number): Place {
  const spot = spotIn(packed);
  const cell = Math.floor((packed % WIDTH_STEP) / ALL_SPOTS);
  return {
    column: cell % COLUMNS,
    row: Math.floor(cell / COLUMNS),
    spotX: spot % SPOTS,
    spotY: Math.floor(spot / SPOTS),
  };
}

/** The spot in the element, of a place or of a spot only. */
export function spotIn(packed: number): number {
  return packed % ALL_SPOTS;
}
