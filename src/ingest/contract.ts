/** What ingest needs of other parts; worker.ts passes it in. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Config } from '../config/config.ts';
import type { Logger } from '../log/logger.ts';
import type { PublishedMark } from '../model/mark.ts';
import type { Site } from '../model/site.ts';
import type { Visitor } from '../model/visitor.ts';
import type { SampleBuffer } from '../protocol/frame.ts';
import type { Arrival, DisconnectReason, LateMark } from '../protocol/ipc.ts';
import type { Pace } from './pace.ts';

/** Receives what a visitor does. */
export interface LiveSink {
  /** The primary's number for the visitor. */
  readonly v: number;
  readonly arrival: Arrival;
  /** The primary has given the visitor to another connection. */
  readonly released: boolean;
  /** Number of the last accepted frame; ingest updates it. -1: nothing is known of the page. */
  frame: number;
  /** Time of the visitor's last event on any connection, Unix ms; ingest updates it. */
  lastTime: number;
  take(samples: SampleBuffer, offset: number, from: number, to: number): void;
  /** The page was just loaded and numbers its frames from `n` on. */
  startPage(n: number): void;
  /** `n` and `i` number events, as in RelayItem. */
  mark(n: number, i: number, t: number, mark: PublishedMark): void;
  navigate(n: number, i: number, t: number, page: string): void;
  view(t: number, size: Visitor['size'], hidden: boolean): void;
  name(label: string): void;
  disconnected(t: number, reason: DisconnectReason): void;
}

/** Stores a visitor's frames; see store/record/recorder.ts. */
export interface RecordSink {
  /** Numbers of the last frame passed on, and of the last frame stored. */
  readonly taken: number;
  readonly kept: number;
  /** A frame could not be stored. Nothing more is accepted. */
  readonly broken: boolean;
  /** The page was loaded; stored under number `n`. */
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
  /** The visitor has sent its label. */
  name(label: string): void;
  /** Gives back memory that is needed only while frames arrive. Call it from time to time. */
  rest(): void;
  /** Resolves when everything passed on is stored, or cannot be stored. */
  settled(): Promise<void>;
  /** Returns a new recording that continues after number `n`, to replace a broken one. */
  restart(n: number): RecordSink;
}

export interface IngestOptions {
  config: Config;
  log: Logger;
  /** How often visitors send; shared with the relay. */
  pace: Pace;
  /** Maximum number of connections per address in this worker. */
  maxPerAddress: number;
  /** True if WebSockets may be read by shared-read.ts and frame-reader.ts; otherwise ws alone reads them. */
  sharesReads: boolean;
  /** A connection has become a WebSocket. `fresh` replaces its socket; it may be the same. */
  moved(old: Duplex, fresh: Socket): void;
  /** The key that signs resume tokens. */
  secret: Buffer;
  /** Number of this run of the server, unique among all runs with this store. */
  run: number;
  site(key: string): Promise<Site | undefined>;
  /** Records that a site has had its first visitor. Failures are logged. */
  markSeen(key: string): void;
  /** Notes that a visitor of a site, or of an unknown key, was refused with this problem code. */
  refused(site: string, origin: string | undefined, code: string): void;
  /**
   * Asks the primary to let a visitor in. Undefined: not now. `posted`: when the token of a POST was made. `last`: the
   * last frame of its page, or 0.
   */
  claim(arrival: Arrival, posted: number | null, last: number): Promise<LiveSink | undefined>;
  /**
   * The last frame of a visitor, up to `most`, that the store had when this server started, or that compaction has
   * included since. 0: none, or the store does not answer now.
   */
  lastFrame(site: string, id: string, most: number): Promise<number>;
  /** Sends a mark on a page that its visitor has left. */
  late(mark: LateMark): void;
  /** Starts to store a visitor's frames after number `n`. `country` may be empty. */
  record(arrival: Arrival, country: string, n: number): RecordSink;
  /** False while nothing can be stored. */
  canRecord(): boolean;
  /** True if any stream shows this site. */
  watched(site: string): boolean;
  /** True while the primary does not keep up with this worker. */
  saturated(): boolean;
  /** Counts rejected samples. */
  drop(site: string, n: number): void;
}
