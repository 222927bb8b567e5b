/** Renders a heatmap as an image that covers its page. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CELL, type Heat, type HeatKind, MAX_COLUMN, MAX_ROW } from '../model/heat.ts';
import { DEPTH_SHARES, depthOf, reached } from '../model/scroll-depth.ts';
import { HeatField } from './field.ts';
import { EDGE, HOTTEST, LINE, PALETTE } from './palette.ts';
import { encodePng } from './png.ts';

/** Maximum size of an image, pixels. */
export const PICTURE_LIMIT = { width: 4096, height: 16_384, pixels: 16 * 1024 * 1024 } as const;
/** Number of pixels rendered at once, in about 2 ms: streams and visitors are served in between. */
const BAND_PIXELS = 256 * 1024;
/** Thickness of a line of a scroll map and of its edges, pixels. */
const LINE_HEIGHT = 2;

type Extent = Heat['extent'];

/** Sets the pixels of a row, which are all 0 before. */
type Painter = (pixels: Uint8Array, y: number) => void;

/**
 * Renders a PNG with `scale` page pixels per pixel, or more if the image would exceed PICTURE_LIMIT. It covers the page
 * from its top left corner to `extentOf(kind, heat)`, whatever the scale.
 */
export async function renderHeat(kind: HeatKind, heat: Heat, scale: number): Promise<Buffer> {
  const extent = extentOf(kind, heat);
  const [width, height] = pictureSize(extent, scale);
  const paint =
    kind === 'scroll' ? depthPainter(heat.cells, extent, height) : heatPainter(heat.cells, extent, width, height);
  const rows = Buffer.alloc((width + 1) * height);
  const band = Math.max(1, Math.floor(BAND_PIXELS / width));
  for (let y = 0; y < height; y++) {
    if (y % band === 0) await nextTurn();
    paint(rows.subarray(y * (width + 1) + 1, (y + 1) * (width + 1)), y);
  }
  return encodePng({ width, height, palette: PALETTE, rows });
}

/** The size of the page, page pixels: as reported, or the extent of its cells if that is larger. */
export function extentOf(kind: HeatKind, { extent: [width, height], cells }: Pick<Heat, 'extent' | 'cells'>): Extent {
  const maximum: Extent = [(MAX_COLUMN + 1) * CELL, (MAX_ROW + 1) * CELL];
  if (width > 0 && height > 0) return [Math.min(width, maximum[0]), Math.min(height, maximum[1])];
  if (kind === 'scroll') return [cells.length === 0 ? 0 : CELL, reached(cells).length * CELL];
  let columns = 0;
  for (let i = 0; i < cells.length; i += 3) columns = Math.max(columns, (cells[i] as number) + 1);
  return [columns * CELL, ((cells.at(-2) ?? -1) + 1) * CELL];
}

/** Width and height of a page's image in pixels; at least 1. */
export function pictureSize([width, height]: Extent, scale: number): Extent {
  const { width: maxWidth, height: maxHeight, pixels } = PICTURE_LIMIT;
  const minScale = Math.max(scale, width / maxWidth, height / maxHeight, Math.sqrt((width * height) / pixels));
  return [Math.max(1, Math.floor(width / minScale)), Math.max(1, Math.floor(height / minScale))];
}

/** Paints the field by interpolating between the centres of the four cells around a pixel. */
function heatPainter(cells: readonly number[], extent: Extent, width: number, height: number): Painter {
  const field = new HeatField(cells, Math.ceil(extent[0] / CELL), Math.ceil(extent[1] / CELL));
  const across = positions(width, extent[0], field.columns);
  const down = positions(height, extent[1], field.rows);
  const levels = lastRows((row) => field.levels(row));
  const blended = new Float32Array(field.columns);
  return (pixels, y) => {
    const row = down.cell[y] as number;
    const upper = levels(row);
    const lower = levels(Math.min(row + 1, field.rows - 1));
    if (!upper && !lower) return;
    blendRows(blended, upper, lower, down.share[y] as number);
    for (let x = 0; x < width; x++) {
      const column = across.cell[x] as number;
      const left = blended[column] as number;
      const right = blended[column + 1] ?? left;
      pixels[x] = left + (right - left) * (across.share[x] as number);
    }
  };
}

function blendRows(out: Float32Array, upper: Float32Array | undefined, lower: Float32Array | undefined, share: number) {
  for (let i = 0; i < out.length; i++) out[i] = HOTTEST * ((upper?.[i] ?? 0) * (1 - share) + (lower?.[i] ?? 0) * share);
}

/** For each pixel the last cell whose centre is before the pixel's, and the distance to the next centre, 0 to 1. */
function positions(pixels: number, extent: number, cells: number): { cell: Uint16Array; share: Float32Array } {
  const cell = new Uint16Array(pixels);
  const share = new Float32Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const at = ((i + 0.5) * extent) / pixels / CELL - 0.5;
    const middle = Math.max(0, Math.min(at, cells - 1));
    cell[i] = middle;
    share[i] = middle - Math.floor(middle);
  }
  return { cell, share };
}

/** Caches the last two rows: the pixels of a band share them. */
function lastRows(compute: (row: number) => Float32Array | undefined): (row: number) => Float32Array | undefined {
  const cache = new Map<number, Float32Array | undefined>();
  return (row) => {
    if (!cache.has(row)) {
      cache.set(row, compute(row));
      if (cache.size > 2) cache.delete(Math.min(...cache.keys()));
    }
    return cache.get(row);
  };
}

/** Paints each row by the share of views that saw it, and lines where the shares are 100, 75, 50 and 25 %. */
function depthPainter(cells: readonly number[], extent: Extent, height: number): Painter {
  const counts = reached(cells);
  const scale = extent[1] / height;
  const lines = cells.length === 0 ? [] : DEPTH_SHARES.map((share) => Math.round(depthOf(cells, share) / scale));
  return (pixels, y) => {
    const row = Math.floor(((y + 0.5) * scale) / CELL);
    pixels.fill(lineAt(lines, y) ?? Math.round((HOTTEST * (counts[row] ?? 0)) / (counts[0] || 1)));
  };
}

/** The colour of the line or of its edge at `y`; undefined elsewhere. */
function lineAt(lines: readonly number[], y: number): number | undefined {
  const isWithin = (maximum: number) => lines.some((line) => Math.abs(y + 0.5 - line) < maximum);
  if (isWithin(LINE_HEIGHT / 2)) return LINE;
  return isWithin(LINE_HEIGHT / 2 + 1) ? EDGE : undefined;
}
