/** Converts between page pixels and stage pixels. */
import type { LiveVisitor } from '../live/live-state.ts';
import { isOf, type Width } from './width-class.ts';

export interface Extent {
  width: number;
  height: number;
}

/** `width`: the page is as wide as the stage and scrolls. `whole`: all of it is visible. */
export type Fit = 'width' | 'whole';

/** Size of a page whose visitors report none. */
const PLAIN: Extent = { width: 1280, height: 720 };
const MIN: Extent = { width: 320, height: 240 };
/** Maximum size of a page: one visitor with wrong values must not shrink all others to dots. */
export const MAX: Extent = { width: 7680, height: 40_000 };
/** Maximum scale on a stage that is much wider than the page. */
const MAX_SCALE = 1.5;

/**
 * Returns the extent of a page: the largest document of its visitors. Visitors without a size extend it by their
 * positions. It never shrinks below `before`, so that the stage stays stable. `windowSize`: only windows of this size
 * count.
 */
export function viewExtent(
  people: Iterable<LiveVisitor>,
  page: string,
  before?: Extent,
  windowSize: Width | null = null,
): Extent {
  let hasSizes = false;
  let width = before?.width ?? 0;
  let height = before?.height ?? 0;
  for (const { visitor, track } of people) {
    if (visitor.page !== page || !isOf(visitor.device, windowSize)) continue;
    const [, , dw, dh] = visitor.size;
    if (dw > 0) {
      hasSizes = true;
      width = Math.max(width, dw);
      height = Math.max(height, dh);
    } else if (track.count > 0) {
      width = Math.max(width, roundUp(track.xAt(track.count - 1)));
      height = Math.max(height, roundUp(track.yAt(track.count - 1)));
    }
  }
  const minimum = hasSizes || before ? MIN : PLAIN;
  return {
    width: Math.min(Math.max(width, minimum.width), MAX.width),
    height: Math.min(Math.max(height, minimum.height), MAX.height),
  };
}

/** The document size of one visitor, as far as it is known. */
export function extentOfOne({ visitor }: LiveVisitor): Extent | undefined {
  const [, , dw, dh] = visitor.size;
  if (dw === 0 || dh === 0) return undefined;
  return { width: Math.min(dw, MAX.width), height: Math.min(dh, MAX.height) };
}

/** Stage pixels per page pixel. With a followed visitor, its viewport fills the stage. */
export function scaleOf(box: Extent, extent: Extent, fit: Fit, viewport?: Extent): number {
  const windowSize = box.width / (viewport ?? extent).width;
  const high = box.height / (viewport ?? extent).height;
  return Math.min(viewport || fit === 'whole' ? Math.min(windowSize, high) : windowSize, MAX_SCALE);
}

/** The size of a visitor's window; undefined if it is unknown. */
export function viewportOf({ visitor }: LiveVisitor): Extent | undefined {
  const [width, height] = visitor.size;
  return width > 0 && height > 0 ? { width, height } : undefined;
}

function roundUp(value: number): number {
  return Math.ceil((value + 40) / 100) * 100;
}
