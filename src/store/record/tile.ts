/**
 * Packed counts of cells. For each cell with a count: the distance from the cell before and the count, both varints.
 */
import { FrameError } from '../../protocol/frame-error.ts';
import { Reader } from '../../protocol/reader.ts';
import { Writer } from '../../protocol/writer.ts';

/** Counts by cell. A cell whose count is 0 has no entry. */
export type Counted = Map<number, number>;

const out = new Writer(4096);

/**
 * Returns the tile `before` (undefined: a new one) with the amounts `by` added to `cells`, which are in order.
 * Undefined if nothing is left.
 */
export function mergeTile(before: Uint8Array | undefined, cells: readonly number[], by: Counted): Buffer | undefined {
  let last = 0;
  const put = (cell: number, n: number): void => {
    if (n <= 0) return;
    out.varint(cell - last);
    out.varint(n);
    last = cell;
  };
  let i = 0;
  out.clear();
  if (before)
    readTile(before, (cell, n) => {
      for (; i < cells.length && (cells[i] as number) < cell; i++)
        put(cells[i] as number, by.get(cells[i] as number) as number);
      const isBoth = cells[i] === cell;
      put(cell, isBoth ? n + (by.get(cell) as number) : n);
      if (isBoth) i += 1;
    });
  for (; i < cells.length; i++) put(cells[i] as number, by.get(cells[i] as number) as number);
  return out.length === 0 ? undefined : out.copy();
}

/** Like `mergeTile`, but resets a damaged tile. Its counts are lost, but compaction continues for all other tiles. */
export function mergeOrReset(
  before: Uint8Array | undefined,
  cells: readonly number[],
  by: Counted,
): Buffer | undefined {
  try {
    return mergeTile(before, cells, by);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    process.emitWarning(`A damaged part of a heatmap was reset: ${error.message}`);
    return mergeTile(undefined, cells, by);
  }
}

/** Calls `onCell` for each cell of a tile, in order. Throws FrameError if the tile is damaged. */
export function readTile(bytes: Uint8Array, onCell: (cell: number, count: number) => void): void {
  const end = bytes.length;
  let cell = 0;
  let i = 0;
  while (i < end) {
    // Most numbers take one byte. The reader handles all others.
    const step = bytes[i] as number;
    const n = i + 1 < end ? (bytes[i + 1] as number) : 128;
    if (step < 128 && n < 128) {
      cell += step;
      i += 2;
      onCell(cell, n);
      continue;
    }
    const r = new Reader(bytes, i, end);
    cell += r.varint();
    onCell(cell, r.varint());
    i = r.offset;
  }
}

/** Returns the cells in order, as `mergeTile` expects them. */
export function sortedCells(counts: Counted): number[] {
  return [...counts.keys()].sort((a, b) => a - b);
}

/** Adds to a count. A count that becomes 0 is removed. */
export function countInTile(counts: Counted, cell: number, by: number): void {
  const now = (counts.get(cell) ?? 0) + by;
  if (now === 0) counts.delete(cell);
  else counts.set(cell, now);
}
