/** Heatmaps in the form that stores return and the dashboard draws. */

/** Kinds of heatmaps. */
export const HEAT_KINDS = ['move', 'click', 'scroll'] as const;
export type HeatKind = (typeof HEAT_KINDS)[number];

/** Edge of a heatmap's cell, page pixels. */
export const CELL = 16;
/** Highest column and row: 32,768 and 262,144 pixels. Positions beyond are counted in the last one. */
export const MAX_COLUMN = 2047;
export const MAX_ROW = 16_383;

/** The moves or clicks on a page, or how deep its visitors saw. */
export interface Heat {
  /** Number of views. */
  views: number;
  /**
   * move, click: flat `column, row, count` of each cell with a count, ordered by row and column. scroll: flat `row,
   * views`: the number of views in which that row was the deepest seen.
   */
  cells: number[];
  /** Sum of the counts, and the largest. */
  total: number;
  most: number;
  /** The widest and the longest document reported, page pixels; zeros if unknown. */
  extent: [width: number, height: number];
  /** For clicks: the most clicked elements. */
  elements: ClickedElement[];
}

/** Clicks on one element, wherever a layout places it. */
export interface ClickedElement {
  selector: string;
  count: number;
  /** Flat `column, row, count` on a grid of 16 by 16 over the element. */
  spots: number[];
}
