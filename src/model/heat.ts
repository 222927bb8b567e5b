/** Heatmaps, as stores answer and the dashboard draws them. */

/** What a heatmap is of. */
export const HEAT_KINDS = ['move', 'click', 'scroll'] as const;
export type HeatKind = (typeof HEAT_KINDS)[number];

/** Edge of a heatmap's cell, page pixels. */
export const CELL = 16;
/** Columns and rows beyond are counted in the last: 32,768 and 262,144 pixels. */
export const MAX_COLUMN = 2047;
export const MAX_ROW = 16_383;

/** Where moves or clicks of a page were, or how deep its visitors saw. */
export interface Heat {
  /** Views that it is of. */
  views: number;
  /**
   * move, click: flat `column, row, count`, by row and column, of each cell that has any. scroll: flat `row, views`,
   * how many views ended with that row as the deepest in sight.
   */
  cells: number[];
  /** Sum of the counts, and the largest. */
  total: number;
  most: number;
  /** The widest and the longest document told, page pixels; zeros if not known. */
  extent: [width: number, height: number];
  /** Of clicks, those elements that were clicked most. */
  elements: ClickedElement[];
}

/** Clicks on one element, wherever it stands in a layout. */
export interface ClickedElement {
  selector: string;
  count: number;
  /** Flat `column, row, count` on a grid of 16 by 16 over the element. */
  spots: number[];
}
