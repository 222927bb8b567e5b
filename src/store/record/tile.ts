/** Counts of cells, packed: each cell that has any as the distance from the one before and its count, both varints. */
import { FrameError } from '../../protocol/frame-error.ts';
import { Reader } from '../../protocol/reader.ts';
import { Writer } from '../../protocol/writer.ts';

/** Counts by cell; none is 0. */
export type Counted = Map<number, number>;

const out = new Writer(4096);

/**
 * The tile `before` (undefined: none yet) with more counts added: of `cells`, in order, by what `by` has of each.
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

/** As `mergeTile`. A tile that is damaged begins anew: what it had is lost, but the frames of all other tiles go on being filed. */
export function mergeSound(before: Uint8Array | undefined, cells: readonly number[], by: Counted): Buffer | undefined {
  try {
    return mergeTile(before, cells, by);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    process.emitWarning(`A damaged part of a heatmap was reset: ${error.message}`);
    return mergeTile(undefined, cells, by);
  }
}

/** Tells each cell of a tile and its count, in order. Throws FrameError if it is damaged. */
export function readTile(bytes: Uint8Array, tell: (cell: number, count: number) => void): void {
  const end = bytes.length;
  let cell = 0;
  let i = 0;
  while (i < end) {
    // Most numbers are of one byte; what is not, the reader reads.
    const step = bytes[i] as number;
    const n = i + 1 < end ? (bytes[i + 1] as number) : 128;
    if (step < 128 && n < 128) {
      cell += step;
      i += 2;
      tell(cell, n);
      continue;
    }
    const r = new Reader(bytes, i, end);
    cell += r.varint();
    tell(cell, r.varint());
    i = r.offset;
  }
}

/** The cells of counts in order, as `mergeTile` wants them. */
export function inOrder(counts: Counted): number[] {
  return [...counts.keys()].sort((a, b) => a - b);
}

/** Adds to a count; one that comes to 0 is no more. */
export function countInTile(counts: Counted, cell: number, by: number): void {
  const now = (counts.get(cell) ?? 0) + by;
  if (now === 0) counts.delete(cell);
  else counts.set(cell, now);
}
