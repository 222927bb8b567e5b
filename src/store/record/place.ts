/**
 * Packs the place of a click on an element into one number: the width of the document, the place on the page, and the
 * place in the element.
 */
import { CELL, MAX_COLUMN } from '../../model/heat.ts';

/** Cells along each edge of an element. */
export const SPOTS = 16;
const ALL_SPOTS = SPOTS * SPOTS;
const COLUMNS = MAX_COLUMN + 1;
/** Widths differ in steps of a cell, up to this one: 4,080 pixels and more. */
const MAX_WIDTH = 255;
/** Number of codes per width: a spot for each cell of a page, of which there are 2^25. */
const WIDTH_STEP = 2 ** 33;

/** Where a click on an element was. */
export interface Place {
  /** Place on the page, in cells. */
  column: number;
  row: number;
  /** Place in the element, in a grid of 16 by 16. */
  spotX: number;
  spotY: number;
}

/** The width of a document in cells. */
export function widthOf(pixels: number): number {
  return Math.min(MAX_WIDTH, Math.floor(pixels / CELL));
}

/** Packs a place. `cell`: number of the cell on the page. `spot`: place in the element, `row × 16 + column`. */
export function packPlace(width: number, cell: number, spot: number): number {
  return (width + 1) * WIDTH_STEP + cell * ALL_SPOTS + spot;
}

/**
 * Returns the width of the document, in cells. Undefined if the number is only a spot: the click is from before places
 * were counted, or of a client that does not report the width.
 */
export function widthIn(packed: number): number | undefined {
  const width = Math.floor(packed / WIDTH_STEP) - 1;
  return width >= 0 && width <= MAX_WIDTH ? width : undefined;
}

/** Unpacks everything but the width. */
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

/** Returns the spot in the element, of a place or of a spot only. */
export function spotIn(packed: number): number {
  return packed % ALL_SPOTS;
}
