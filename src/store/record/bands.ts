/** The cells of a page are kept in bands of some rows, one tile each. */
import type { CellTable } from './cell-table.ts';
import { COLUMNS } from './sums.ts';
import type { Counted } from './tile.ts';

/** Rows of cells in one tile. */
const BAND_ROWS = 16;
export const BAND_CELLS = BAND_ROWS * COLUMNS;

/** What is to be added to one tile: cells, in order, and what `by` has of each. They count from the tile's own first one. */
export interface Band {
  band: number;
  cells: number[];
  by: Counted;
}

/** Cells of a page band by band. */
export function* bandsOf(counts: CellTable): Generator<Band> {
  const sorted = Int32Array.from(counts, ([cell]) => cell).sort();
  for (let i = 0; i < sorted.length; ) {
    const band = Math.floor((sorted[i] as number) / BAND_CELLS);
    const first = band * BAND_CELLS;
    const cells: number[] = [];
    const by: Counted = new Map();
    for (; i < sorted.length && (sorted[i] as number) < first + BAND_CELLS; i++) {
      cells.push((sorted[i] as number) - first);
      by.set((sorted[i] as number) - first, counts.get(sorted[i] as number) as number);
    }
    yield { band, cells, by };
  }
}
