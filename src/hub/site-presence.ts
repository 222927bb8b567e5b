/** A present visitor, as the primary knows it. */
import type { Visitor } from '../model/visitor.ts';
import type { LastMinute } from './last-minute.ts';
import type { ShownFrames } from './shown-frames.ts';

export interface SitePresence {
  visitor: Visitor;
  site: string;
  /** The worker that has the connection; 0 during the grace period. */
  worker: number;
  /** The worker's claim that let the connection in. */
  claim: number;
  /** When the visitor's socket was let in, Unix ms; 0 if it uses POST. */
  socketSince: number;
  /** When the visitor was last let in, Unix ms. */
  letInAt: number;
  /** The last frame on any page that is known to be accepted. */
  frame: number;
  /** Time of the visitor's last event, as reported when a connection ended, Unix ms. */
  lastTime: number;
  readonly lastMinute: LastMinute;
  readonly shown: ShownFrames;
}
