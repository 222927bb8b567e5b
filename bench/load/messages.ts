/** What the bench and its load processes say to each other: commands down, reports up. */

export type Command =
  | VisitorLoad
  | StreamLoad
  | RequestLoad
  | ComersLoad
  | ReadersLoad
  | { k: 'send'; seconds: number }
  | { k: 'settle' }
  | { k: 'leave'; share: number }
  | { k: 'count' }
  | { k: 'pause' }
  | { k: 'resume' }
  | { k: 'marks'; leaves: number; limitMs: number }
  | GuestCommand
  | { k: 'end' };

export type Report =
  | { k: 'joined' }
  | SentReport
  | { k: 'settled'; unacked: number }
  | { k: 'paused' }
  | StreamReport
  | ResumeReport
  | MarksReport
  | VisitsReport
  | RequestReport
  | ComersReport
  | ReadersReport;

export interface ComersLoad {
  k: 'comers';
  port: number;
  visitors: number;
  /** Seconds that one stays, at least and at most. */
  stays: [number, number];
}

export interface ComersReport {
  k: 'gone';
  /** Visitors in all, and connections that they needed. */
  visitors: number;
  connections: number;
  /** Samples that they hold acks for, and that they do not. */
  acked: number;
  unacked: number;
}

export interface ReadersLoad {
  k: 'readers';
  port: number;
  token: string;
  readers: number;
  seconds: number;
  /** Asked in turn. The paths of one question are variants of it, which take turns too. */
  questions: { paths: string[] }[];
}

export interface ReadersReport {
  k: 'read';
  /** How long each answer to each question took, ms. */
  times: number[][];
}

export interface VisitsReport {
  k: 'visited';
  /** Pages of the guests that were let in, and of those that were turned away; these come again on another page. */
  letIn: string[];
  turnedAway: string[];
  /** Numbers in the places of the clicks that were sent. */
  clicks: number[];
  /** From connect() to the answer 101, and to the server's hello, ms. */
  upgrade: Quantiles;
  hello: Quantiles;
  /** The latest that a guest set out after its time, ms. */
  lateMs: number;
}

export interface MarksReport {
  k: 'marks';
  /** Pages of those that came and left, in order. */
  joins: string[];
  leaves: string[];
  /** Numbers in the clicks' places. */
  clicks: number[];
}

export interface HttpRequest {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body?: string;
}

export interface RequestLoad {
  k: 'requests';
  port: number;
  connections: number;
  seconds: number;
  /** Ends after this number of requests instead, when all are answered. */
  amount?: number;
  /** Dealt to the connections in turn; each repeats its own over and over. */
  requests: HttpRequest[];
}

export interface RequestReport {
  k: 'answered';
  /** With 2xx, and what went otherwise: another status, or no answer. */
  answered: number;
  failed: number;
  /** Answers per second. */
  rate: number;
  p50: number;
  p99: number;
  cpuMs: number;
}

export interface ResumeReport {
  k: 'resumed';
  /** Bytes that were read until the stream went on, or ended: what had lain in the kernels' buffers. */
  bytes: number;
  /** The server had ended the stream; its reader came back with the last id it had, as EventSource does. */
  cut: boolean;
  /** How it continued: `reset` and `snapshot`, or `skipped` moves; empty if it continued without a gap. */
  how: string[];
}

export interface StreamLoad {
  k: 'streams';
  port: number;
  /** Ours by SSE, the textbook's by SSE, or Socket.IO's. */
  speak: 'fieldmouse' | 'textbook' | 'socket.io';
  token: string;
  /** Queries of `/v1/stream`, one stream each. */
  queries: string[];
  /** Samples per frame. */
  samples: number;
}

export interface StreamReport {
  k: 'counted';
  /** Samples that the checked stream has shown since the last count. */
  delivered: number;
  doubled: number;
  events: number;
  resets: number;
  /** Of all streams. */
  bytes: number;
  /** Streams still open. */
  open: number;
  /** From a sample's own time to its arrival here, ms; no allowance for late reading: the sender never waits. */
  p50: number;
  p99: number;
  max: number;
  cpuMs: number;
}

export interface SentReport {
  k: 'sent';
  frames: number;
  samples: number;
  /** Those of visitors on the first page, `/`. */
  samplesOfFirst: number;
  /** The longest the loop overslept, ms. */
  lateMs: number;
  cpuMs: number;
  /** Visitors that the server has closed so far. */
  closed: number;
  /** The slowest pace of a visitor meanwhile, ms; 0: the server sets none. */
  slowestMs: number;
  /** The slowest pace at the end, of frames and of samples, ms. */
  flushMs: number;
  sampleMs: number;
}

export interface VisitorLoad {
  k: 'visitors';
  port: number;
  /** What they speak: ours, or a baseline's. */
  speak: 'json' | 'v1' | 'socket.io';
  visitors: number;
  /** Frames per second of each. */
  rate: number;
  /** Samples in each frame. */
  samples: number;
  /** The first is visitor number this; number i is on page i modulo `pages`. */
  first: number;
  pages: number;
  /** Send as seldom as the server asks, as the tracker does. Otherwise what it asks is only noted. */
  obedient: boolean;
  /** Hellos end before the number of the last frame, as they did before frames were stored. */
  shortHello?: boolean;
  seed: number;
}

export interface Visits {
  k: 'visits';
  port: number;
  seconds: number;
  perSecond: number;
  /** How long a guest stays; it clicks half-way. */
  stayMs: number;
}

export type GuestCommand = { k: 'crowd'; port: number; count: number } | Visits;

export interface Quantiles {
  p50: number;
  p95: number;
  p99: number;
  max: number;
}
