/** Which part of a site a live stream shows. */
import type { Moves } from './stream-event.ts';

/** What a stream shows; equal channels are rendered once, however many watch. */
export interface Channel {
  site: string;
  /** Only this page, or null for all. */
  page: string | null;
  /** Only the visitor of this id, or null for all. */
  visitor: string | null;
  moves: Moves;
}

/** The same key for equal channels, on every machine. */
export function channelKey({ site, page, visitor, moves }: Channel): string {
  return JSON.stringify([site, page, visitor, moves]);
}

/** A channel as workers know it: rendered moves name it by number. */
export interface NumberedChannel extends Channel {
  no: number;
}
