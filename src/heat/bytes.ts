/** A heatmap's cells as compact bytes, `format=binary` of `GET /v1/heatmap`; docs/protocol.md describes them. */
import { HEAT_KINDS, type Heat, type HeatKind } from '../model/heat.ts';
import { Writer } from '../protocol/writer.ts';

const VERSION = 1;

/**
 * Everything except the elements. Neighbouring cells have similar numbers, so each number is stored as the difference
 * from the one before.
 */
export function encodeHeat(kind: HeatKind, { extent, views, total, most, cells }: Heat): Buffer {
  const out = new Writer(cells.length + 64);
  out.byte(VERSION);
  out.byte(HEAT_KINDS.indexOf(kind));
  for (const value of [...extent, views, total, most]) out.varint(value);
  if (kind === 'scroll') putDepths(out, cells);
  else putCells(out, cells);
  return out.view();
}

function putDepths(out: Writer, cells: readonly number[]): void {
  let row = 0;
  for (let i = 0; i + 1 < cells.length; i += 2) {
    out.varint((cells[i] as number) - row);
    out.varint(cells[i + 1] as number);
    row = cells[i] as number;
  }
}

function putCells(out: Writer, cells: readonly number[]): void {
  let row = 0;
  let column = 0;
  for (let i = 0; i + 2 < cells.length; i += 3) {
    const down = (cells[i + 1] as number) - row;
    out.varint(down);
    out.varint((cells[i] as number) - (down === 0 ? column : 0));
    out.varint(cells[i + 2] as number);
    column = cells[i] as number;
    row += down;
  }
}
