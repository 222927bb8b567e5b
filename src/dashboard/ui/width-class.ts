/** Window sizes. The layout of a page differs between them, and so do the positions of its elements. */
import { countUp } from '../../lib/count.ts';
import type { Device } from '../../model/visitor.ts';
import type { LiveVisitor } from '../live/live-state.ts';

export const WIDTHS = ['phone', 'tablet', 'desktop', 'wide'] as const;
export type Width = (typeof WIDTHS)[number];

/** The window size in an address: null for all, undefined if none is chosen. */
export function widthClassIn(query: URLSearchParams): Width | null | undefined {
  const width = query.get('width');
  return width === 'all' ? null : WIDTHS.find((one) => one === width);
}

/** True if a window of this size is shown. Clients that do not report their width are always shown. */
export function isOf(device: Device, width: Width | null): boolean {
  return width === null || device === width || device === 'unknown';
}

/** Number of visitors of a page per window size. */
export function widthsOn(people: Iterable<LiveVisitor>, page: string | null): Map<Width, number> {
  const counts = new Map<Width, number>();
  for (const { visitor } of people) {
    const width = WIDTHS.find((one) => one === visitor.device);
    if (width && visitor.page === page) countUp(counts, width);
  }
  return counts;
}

/** The most common window size; `before` if no other is more common; null if none is known. */
export function mostCommon(counts: ReadonlyMap<Width, number>, before: Width | null): Width | null {
  let best = before;
  let maxCount = before === null ? 0 : (counts.get(before) ?? 0);
  for (const width of WIDTHS) {
    const count = counts.get(width) ?? 0;
    if (count > maxCount) [best, maxCount] = [width, count];
  }
  return maxCount > 0 ? best : null;
}
