/** Which part of a site a live stream shows. */
import type { Moves } from './stream-event.ts';

/** What a stream shows. Equal channels are rendered once, however many streams watch them. */
export interface Channel {
  site: string;
  /** Only this page, or null for all. */
  page: string | null;
  /** Only the visitor of this id, or null for all. */
  visitor: string | null;
  moves: Moves;
}

/** Returns the same key for equal channels, on every node. */
export function channelKey({ site, page, visitor, moves }: Channel): string {
  return JSON.stringify([site, page, visitor, moves]);
}

/** A channel with its number, by which rendered moves refer to it. */
export interface NumberedChannel extends Channel {
  no: number;
}
