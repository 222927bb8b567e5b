/** What ingest needs of the parts beside it; worker.ts passes it in. */
import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import type { SampleBuffer } from '../protocol/frame.ts';
import type { Arrival, ClickData, GoneReason } from '../protocol/relay.ts';
import type { Site } from '../protocol/site.ts';
import type { Visitor } from '../protocol/stream.ts';

/** Where a visitor's doings go. */
export interface Trace {
  /** The primary's number for the visitor. */
  readonly v: number;
  readonly arrival: Arrival;
  /** The primary has given the visitor to another connection. */
  readonly released: boolean;
  /** Number of the last frame taken; ingest keeps it up to date. */
  frame: number;
  take(samples: SampleBuffer, offset: number, from: number, to: number): void;
  click(at: number, t: number, click: ClickData): void;
  turn(at: number, t: number, page: string): void;
  view(t: number, size: Visitor['size'], hidden: boolean): void;
  name(label: string): void;
  gone(t: number, reason: GoneReason): void;
}

export interface IngestOptions {
  config: Config;
  log: Logger;
  /** Signs resume tokens. */
  secret: Buffer;
  site(key: string): Promise<Site | undefined>;
  /** Notes that a site has its first visitor; what goes wrong is logged. */
  markSeen(key: string): void;
  /** Asks the primary to let a visitor in; undefined: not now. `posted`: when the token of a POST was made. */
  claim(arrival: Arrival, posted: number | null): Promise<Trace | undefined>;
  /** True if somebody watches this site. */
  watched(site: string): boolean;
  /** True while the primary does not keep up with this worker. */
  saturated(): boolean;
  /** Counts samples that were refused. */
  drop(site: string, n: number): void;
}
