/** How deep visitors saw, calculated from the cells of a heatmap of kind `scroll`. */
import { CELL } from './heat.ts';

/** Shares of views for which a depth line is drawn. */
export const DEPTH_SHARES = [1, 0.75, 0.5, 0.25] as const;

/** Returns for each row, from the top to the deepest, how many views had it in sight. */
export function reached(cells: readonly number[]): number[] {
  const rows = cells.length === 0 ? 0 : (cells.at(-2) as number) + 1;
  const counts = new Array<number>(rows).fill(0);
  for (let i = 0; i + 1 < cells.length; i += 2) {
    const row = cells[i] as number;
    counts[row] = (counts[row] as number) + (cells[i + 1] as number);
  }
  for (let row = rows - 2; row >= 0; row--) counts[row] = (counts[row] as number) + (counts[row + 1] as number);
  return counts;
}

/** Returns how many pixels from the top this share of the views (0 to 1) saw; 0 without views. */
export function depthOf(cells: readonly number[], share: number): number {
  const counts = reached(cells);
  const threshold = share * (counts[0] ?? 0);
  let rows = 0;
  while (rows < counts.length && (counts[rows] as number) >= threshold) rows += 1;
  return rows * CELL;
}
