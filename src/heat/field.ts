/** Radius in which a count spreads, in cells. */
const RADIUS = 3.5;
const KERNEL_RADIUS = Math.floor(RADIUS);
/**
 * The share of a count that each surrounding cell gets, by rows down and columns across: a biweight kernel, which
 * depends only on the distance. Separate weights for rows and columns, even those of a bell curve, turn a single count
 * into a square, because faint levels are visible.
 */
const KERNEL = rangeOf(KERNEL_RADIUS).map((dy) =>
  rangeOf(KERNEL_RADIUS).map((dx) => Math.max(0, 1 - (dy ** 2 + dx ** 2) / RADIUS ** 2) ** 2),
);
/**
 * How much more a doubling shows at low counts than at high ones: a hundredth of the maximum still has a sixth of the
 * scale, so that a hot spot does not hide the rest.
 */
const CONTRAST = 100;

/** A heatmap's counts as a smooth field, one row at a time: a page has up to 33 million cells, most of them empty. */
export class HeatField {
  readonly columns: number;
  readonly rows: number;
  /** The highest smoothed count. */
  readonly #maximum: number;
  /** Flat `column, row, count`, by row. */
  readonly #cells: readonly number[];
  /** Where the cells of each row start in #cells. */
  readonly #starts = new Map<number, number>();

  /** `cells` as in Heat; cells beyond the given columns and rows are left out. */
  constructor(cells: readonly number[], columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
    this.#cells = cells;
    for (let i = cells.length - 3; i >= 0; i -= 3) this.#starts.set(cells[i + 1] as number, i);
    this.#maximum = this.#computeMaximum();
  }

  #computeMaximum(): number {
    let maximum = 0;
    // Only rows with counts are searched. Between two of them the sum may be slightly higher.
    for (const row of this.#starts.keys()) for (const sum of this.#sums(row) ?? []) if (sum > maximum) maximum = sum;
    return maximum;
  }

  /** The level of each cell of a row, 0 to 1; undefined for an empty row. */
  levels(row: number): Float32Array | undefined {
    const sums = this.#sums(row);
    if (!sums || this.#maximum === 0) return undefined;
    const full = Math.log1p(CONTRAST);
    return sums.map((sum) => (sum === 0 ? 0 : Math.min(1, Math.log1p((CONTRAST * sum) / this.#maximum) / full)));
  }

  #sums(row: number): Float32Array | undefined {
    let sums: Float32Array | undefined;
    for (let dy = -KERNEL_RADIUS; dy <= KERNEL_RADIUS; dy++) {
      const start = row + dy < this.rows ? this.#starts.get(row + dy) : undefined;
      if (start === undefined) continue;
      sums ??= new Float32Array(this.columns);
      this.#addRow(sums, start, KERNEL[dy + KERNEL_RADIUS] as number[]);
    }
    return sums;
  }

  #addRow(sums: Float32Array, start: number, weights: readonly number[]): void {
    const cells = this.#cells;
    const row = cells[start + 1];
    for (let i = start; cells[i + 1] === row && i < cells.length; i += 3) {
      const column = cells[i] as number;
      if (column >= this.columns) break;
      const share = cells[i + 2] as number;
      const to = Math.min(column + KERNEL_RADIUS, this.columns - 1);
      for (let c = Math.max(0, column - KERNEL_RADIUS); c <= to; c++)
        sums[c] = (sums[c] as number) + share * (weights[c - column + KERNEL_RADIUS] as number);
    }
  }
}

/** The integers from -reach to reach. */
function rangeOf(radius: number): number[] {
  return Array.from({ length: 2 * radius + 1 }, (_, i) => i - radius);
}
