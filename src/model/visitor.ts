/** A visitor as administrators see it: one browser tab, from first contact to leaving. */

/** By the viewport's width; `unknown` for clients that do not tell it. */
export const DEVICES = ['phone', 'tablet', 'desktop', 'wide', 'unknown'] as const;
export type Device = (typeof DEVICES)[number];

/** One visitor as others see it. */
export interface Visitor {
  /** Short number that stands for the visitor in this stream's epoch. */
  v: number;
  /** The visitor's id, 128 bits, base64url. */
  id: string;
  page: string;
  /** Origin of the page, for sites on several. May be empty. */
  origin: string;
  /** Unix ms of first contact. */
  since: number;
  device: Device;
  /** Viewport width and height, document width and height, CSS pixels; zeros if not known. */
  size: [vw: number, vh: number, dw: number, dh: number];
  /** Last position in page pixels, or null before the first sample. */
  at: [x: number, y: number] | null;
  /** The page is in a background tab. */
  hidden: boolean;
  /** What a simple client calls itself; empty otherwise. */
  label: string;
  language: string;
  /** Origin the visitor came from; empty if none. */
  referrer: string;
}

/** closed: the tab said so · lost: cut, and the grace ended · refused: broke the protocol · server: the server sent it away */
export type LeaveReason = 'closed' | 'lost' | 'refused' | 'server';

/** Somebody who is not here any more. */
export interface Departure {
  /** When it left, Unix ms. */
  t: number;
  id: string;
  label: string;
  /** The page it left from. */
  page: string;
  reason: LeaveReason;
}

/** Share of a page that is or was above the lower edge of a window with this size and scroll offset, 0 to 1000. */
export function shareSeen(scroll: number, [, vh, , dh]: Visitor['size']): number {
  return dh > 0 ? Math.min(1000, Math.round((1000 * (scroll + vh)) / dh)) : 0;
}

/**
 * Device class by viewport width, CSS pixels: the usual break points of style sheets. Most desktop screens are 1,920
 * pixels wide or less, and pages look the same on them; beyond 2,560 pages leave wide margins.
 */
export function deviceOf(vw: number): Device {
  if (vw === 0) return 'unknown';
  if (vw < 600) return 'phone';
  if (vw < 1024) return 'tablet';
  return vw < 2560 ? 'desktop' : 'wide';
}
