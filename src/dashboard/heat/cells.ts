/** Looks things up in a heatmap. */
import { DEPTH_SHARES, depthOf, reached } from '../../protocol/depth.ts';
import { CELL, type Heat } from '../../protocol/visit.ts';

/** Count of a cell by column and row. */
export type Cells = (column: number, row: number) => number;

export function cellsOf({ cells }: Pick<Heat, 'cells'>): Cells {
  const counts = new Map<string, number>();
  for (let i = 0; i + 2 < cells.length; i += 3) counts.set(`${cells[i]} ${cells[i + 1]}`, cells[i + 2] as number);
  return (column, row) => counts.get(`${column} ${row}`) ?? 0;
}

export interface Fold {
  /** Share of the views that saw the page down to here, 0 to 1. */
  share: number;
  /** Page pixels. */
  y: number;
}

/** The lines of a scroll map. */
export function foldsOf({ cells }: Pick<Heat, 'cells'>): Fold[] {
  return DEPTH_SHARES.map((share) => ({ share, y: depthOf(cells, share) })).filter(({ y }) => y > 0);
}

/** Share of the views that saw a depth of the page, page pixels; by depth. */
export function sharesOf({ cells }: Pick<Heat, 'cells'>): (y: number) => number {
  const views = reached(cells);
  const all = views[0] ?? 0;
  return (y) => (all === 0 ? 0 : (views[Math.floor(y / CELL)] ?? 0) / all);
}
