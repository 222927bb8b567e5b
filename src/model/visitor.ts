/** A visitor as administrators see it: one browser tab, from first contact to leaving. */

/** Classes of the viewport's width; `unknown` for clients that do not report it. */
export const DEVICES = ['phone', 'tablet', 'desktop', 'wide', 'unknown'] as const;
export type Device = (typeof DEVICES)[number];

/** A live visitor as administrators see it. */
export interface Visitor {
  /** Short number of the visitor in this stream's epoch. */
  v: number;
  /** The visitor's id, 128 bits, base64url. */
  id: string;
  page: string;
  /** Origin of the page, for sites with several. May be empty. */
  origin: string;
  /** Time of first contact, Unix ms. */
  since: number;
  device: Device;
  /** Viewport width and height, document width and height, CSS pixels; zeros if not known. */
  size: [vw: number, vh: number, dw: number, dh: number];
  /** Last position in page pixels, or null before the first sample. */
  at: [x: number, y: number] | null;
  /** The page is in a background tab. */
  hidden: boolean;
  /** Label set by a simple client; otherwise empty. */
  label: string;
  language: string;
  /** Origin the visitor came from; empty if none. */
  referrer: string;
}

/**
 * closed: the tab reported it · lost: the connection broke and the grace period ended · refused: it broke the protocol
 * · server: the server disconnected it
 */
export type LeaveReason = 'closed' | 'lost' | 'refused' | 'server';

/** A visitor that has left. */
export interface Departure {
  /** Time of leaving, Unix ms. */
  t: number;
  id: string;
  label: string;
  /** The page it left from. */
  page: string;
  reason: LeaveReason;
}

/** Returns the share of a page, 0 to 1000, above the lower edge of a window with this size and scroll offset. */
export function shareSeen(scroll: number, [, vh, , dh]: Visitor['size']): number {
  return dh > 0 ? Math.min(1000, Math.round((1000 * (scroll + vh)) / dh)) : 0;
}

/**
 * Returns the device class for a viewport width, CSS pixels, by the usual break points of style sheets. Most desktop
 * screens are at most 1,920 pixels wide, and pages look the same on them. Above 2,560 pixels pages have wide margins.
 */
export function deviceOf(vw: number): Device {
  if (vw === 0) return 'unknown';
  if (vw < 600) return 'phone';
  if (vw < 1024) return 'tablet';
  return vw < 2560 ? 'desktop' : 'wide';
}
