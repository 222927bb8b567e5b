/** Stores the cells of a page in bands of BAND_ROWS rows, one tile per band. */
import type { CellTable } from './cell-table.ts';
import { COLUMNS } from './sums.ts';
import type { Counted } from './tile.ts';

/** Rows of cells in one tile. */
const BAND_ROWS = 16;
export const BAND_CELLS = BAND_ROWS * COLUMNS;

/**
 * What to add to one tile: its cells in order, and the amount for each. Cells are numbered from the tile's first one.
 */
export interface Band {
  band: number;
  cells: number[];
  by: Counted;
}

/** Splits the cells of a page into bands. */
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
