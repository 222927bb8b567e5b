/** A visitor that is here, as the primary knows it. */
import type { Visitor } from '../model/visitor.ts';
import type { LastMinute } from './last-minute.ts';
import type { ShownFrames } from './shown-frames.ts';

export interface SitePresence {
  visitor: Visitor;
  site: string;
  /** The worker that has the connection, or 0 in the grace. */
  worker: number;
  /** The worker's claim that let that connection in. */
  claim: number;
  /** When the socket that has it was let in, Unix ms; 0 if it speaks by POST. */
  socketSince: number;
  /** When it was let in last, Unix ms. */
  letInAt: number;
  /** The last frame of all its pages that is known to be taken. */
  frame: number;
  /** Time of its last event that a connection told of as it ended, Unix ms. */
  lastTime: number;
  readonly lastMinute: LastMinute;
  readonly shown: ShownFrames;
}
