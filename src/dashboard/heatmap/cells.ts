/** Looks things up in a heatmap. */

import { CELL, type Heat } from '../../model/heat.ts';
import { DEPTH_SHARES, depthOf, reached } from '../../model/scroll-depth.ts';

/** Count of a cell by column and row. */
export type Cells = (column: number, row: number) => number;

export function drawnCells({ cells }: Pick<Heat, 'cells'>): Cells {
  const counts = new Map<string, number>();
  for (let i = 0; i + 2 < cells.length; i += 3) counts.set(`${cells[i]} ${cells[i + 1]}`, cells[i + 2] as number);
  return (column, row) => counts.get(`${column} ${row}`) ?? 0;
}

export interface Fold {
  /** Shares of the views that saw the page down to here, 0 to 1, the largest first. */
  shares: number[];
  /** Page pixels. */
  y: number;
}

/** The lines of a scroll map, from the top down. Shares that end at the same depth have one line. */
export function foldsOf({ cells }: Pick<Heat, 'cells'>): Fold[] {
  const folds: Fold[] = [];
  for (const share of DEPTH_SHARES) {
    const y = depthOf(cells, share);
    const last = folds.at(-1);
    if (last?.y === y) last.shares.push(share);
    else if (y > 0) folds.push({ shares: [share], y });
  }
  return folds;
}

/** Who saw the page down to a line: "everybody", "50 %" or "75, 50 and 25 %". */
export function audienceText({ shares }: Pick<Fold, 'shares'>): string {
  if (shares[0] === 1) return 'everybody';
  const percents = shares.map((share) => String(share * 100));
  const last = percents.pop();
  return percents.length === 0 ? `${last} %` : `${percents.join(', ')} and ${last} %`;
}

/** Share of the views that saw a depth of the page, page pixels; by depth. */
export function sharesOf({ cells }: Pick<Heat, 'cells'>): (y: number) => number {
  const views = reached(cells);
  const all = views[0] ?? 0;
  return (y) => (all === 0 ? 0 : (views[Math.floor(y / CELL)] ?? 0) / all);
}
