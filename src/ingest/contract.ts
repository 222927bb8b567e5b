/** What ingest needs of the parts beside it; worker.ts passes it in. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Config } from '../config/config.ts';
import type { Logger } from '../log/logger.ts';
import type { Site } from '../model/site.ts';
import type { Visitor } from '../model/visitor.ts';
import type { SampleBuffer } from '../protocol/frame.ts';
import type { Arrival, ClickData, DisconnectReason, LateClick } from '../protocol/ipc.ts';
import type { Pace } from './pace.ts';

/** Where a visitor's doings go. */
export interface Trace {
  /** The primary's number for the visitor. */
  readonly v: number;
  readonly arrival: Arrival;
  /** The primary has given the visitor to another connection. */
  readonly released: boolean;
  /** Number of the last frame taken; ingest keeps it up to date. -1: nothing is known of the page. */
  frame: number;
  /** Time of the visitor's last event, wherever that was taken, Unix ms; ingest keeps it up to date. */
  lastTime: number;
  take(samples: SampleBuffer, offset: number, from: number, to: number): void;
  /** The page was just loaded and numbers its frames from `n` on. */
  begin(n: number): void;
  /** `n` and `i` number events, as in RelayItem. */
  click(n: number, i: number, t: number, click: ClickData): void;
  navigate(n: number, i: number, t: number, page: string): void;
  view(t: number, size: Visitor['size'], hidden: boolean): void;
  name(label: string): void;
  disconnected(t: number, reason: DisconnectReason): void;
}

/** Where a visitor's frames are kept; store/record/recorder.ts says more. */
export interface Recording {
  /** Numbers of the last frame handed over, and of the last that is stored. */
  readonly taken: number;
  readonly kept: number;
  /** A frame could not be stored: nothing more is taken. */
  readonly broken: boolean;
  /** The page was loaded; stands under number `n`. */
  enter(n: number, now: number): void;
  /** `late`: the visitor has left that page. */
  take(
    n: number,
    page: string,
    size: Visitor['size'],
    samples: SampleBuffer,
    shift: number,
    now: number,
    late?: boolean,
  ): void;
  /** The visitor has said what it calls itself. */
  name(label: string): void;
  /** Resolves when what was taken is stored, or will not be. */
  settled(): Promise<void>;
  /** Goes on after number `n`, in place of one that is broken. */
  restart(n: number): Recording;
}

export interface IngestOptions {
  config: Config;
  log: Logger;
  /** How often visitors send; shared with the relay. */
  pace: Pace;
  /** Connections of one address that this worker takes. */
  maxPerAddress: number;
  /** The connection of a WebSocket is `fresh` from now on. */
  moved(old: Duplex, fresh: Socket): void;
  /** Signs resume tokens. */
  secret: Buffer;
  /** Number of this run of the server: no other run with this store has it. */
  run: number;
  site(key: string): Promise<Site | undefined>;
  /** Notes that a site has its first visitor; what goes wrong is logged. */
  markSeen(key: string): void;
  /**
   * Asks the primary to let a visitor in; undefined: not now. `posted`: when the token of a POST was made. `last`: the
   * last frame that its page has made, or 0.
   */
  claim(arrival: Arrival, posted: number | null, last: number): Promise<Trace | undefined>;
  /**
   * The last frame of a visitor, up to `most`, that the record had when this server started, or that was filed since;
   * 0: there is none, or the record does not answer now.
   */
  lastFrame(site: string, id: string, most: number): Promise<number>;
  /** Tells of a click on a page that its visitor has left. */
  late(click: LateClick): void;
  /** Begins to keep a visitor's frames after number `n`. `country` may be empty. */
  record(arrival: Arrival, country: string, n: number): Recording;
  /** False while nothing can be stored. */
  canRecord(): boolean;
  /** True if somebody watches this site. */
  watched(site: string): boolean;
  /** True while the primary does not keep up with this worker. */
  saturated(): boolean;
  /** Counts samples that were refused. */
  drop(site: string, n: number): void;
}
