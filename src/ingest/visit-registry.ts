/**
 * Starts and finds the visits of this worker, for WebSockets and POSTs.
 */
import type { Config } from '../config/config.ts';
import { monotonicNow } from '../lib/monotonic.ts';
import type { HelloReply } from '../protocol/control.ts';
import { decodeSamples, type Hello, READ_BYTES, READ_SAMPLES, SampleBuffer } from '../protocol/frame.ts';
import { PAGE_NUMBERS } from '../protocol/ipc.ts';
import { type JsonFrame, readJson } from '../protocol/json.ts';
import { arrivalOf, type Contact } from './arrival.ts';
import type { IngestOptions, LiveSink, RecordSink } from './contract.ts';
import { Counters } from './counters.ts';
import { LiveVisit, type VisitIndex, type VisitOwner } from './live-visit.ts';
import type { Intervals, Pace } from './pace.ts';
import { RateLimits } from './rate-limits.ts';
import { newVisitorId, type Proof, signToken, verifyToken } from './resume-token.ts';
import { VisitClock } from './visit-clock.ts';

export class VisitRegistry implements VisitIndex {
  readonly config: Config;
  /** Reused for every frame: a frame is decoded and processed in one go. */
  readonly samples: SampleBuffer;
  readonly pace: Pace;
  readonly counters = new Counters();
  readonly #options: IngestOptions;
  readonly #byId = new Map<string, LiveVisit>();
  readonly #byV = new Map<number, LiveVisit>();

  constructor(options: IngestOptions) {
    this.#options = options;
    this.config = options.config;
    this.samples = new SampleBuffer(READ_SAMPLES);
    this.pace = options.pace;
  }

  find(id: string): LiveVisit | undefined {
    return this.#byId.get(id);
  }

  findByNumber(v: number): LiveVisit | undefined {
    return this.#byV.get(v);
  }

  /** The contents of a resume token, if it is valid for this site and its visitor is not too old. */
  identify(site: string, token: string): Proof | undefined {
    const proof = token === '' ? undefined : verifyToken(this.#options.secret, site, token);
    return proof && !this.isTooOld(proof.born, Date.now()) ? proof : undefined;
  }

  /**
   * Reads the samples of a frame, which is `bytes` from `from` to `to`; its payload starts at `offset`. A frame with
   * too many bytes loses all its samples. A frame with too many samples keeps as many as the limit allows. Its number
   * is acked all the same.
   */
  readSamples(site: string, bytes: Uint8Array, from: number, offset: number, to: number): void {
    if (to - from > this.config.maxFrame) {
      this.samples.clear();
      this.drop(site, 1);
    } else {
      decodeSamples(bytes, offset, this.samples, to);
      this.#limitSamples(site);
    }
  }

  /** As `readSamples`, for the JSON form. */
  readJson(site: string, items: readonly unknown[], now: number): JsonFrame {
    const frame = readJson(items, now, this.samples);
    this.#limitSamples(site);
    return frame;
  }

  #limitSamples(site: string): void {
    const dropped = this.samples.limit(this.config.maxSamples);
    if (dropped > 0) this.drop(site, dropped);
  }

  /** A tab may stay open for a long time, but not for ever: after this time it becomes a new visitor. */
  isTooOld(born: number, now: number): boolean {
    return now - born >= this.config.maxVisitMs;
  }

  /**
   * Asks the primary to let a visitor in: the one of `proof`, or a new one. `posted`: it has no socket. `owner` is
   * told when the visit ends. Returns undefined if the visitor cannot be let in now.
   */
  async admit(
    contact: Contact,
    hello: Hello | undefined,
    proof: Proof | undefined,
    posted: boolean,
    offset: number,
    owner: VisitOwner,
  ): Promise<LiveVisit | undefined> {
    const now = Date.now();
    const { id, born, made } = proof ?? { id: newVisitorId(), born: now, made: now };
    const last = proof ? (hello?.last ?? 0) : 0;
    const trace = await this.#options.claim(arrivalOf(contact, id, hello, born), posted ? made : null, last);
    if (!trace) return undefined;
    // The store knows which frames streams got long ago or before the server was started.
    if (trace.frame < 0) trace.frame = await this.#options.lastFrame(contact.site, id, last);
    const clock = new VisitClock(Math.max(made, trace.lastTime));
    const recording = this.#startRecording(trace, contact.country, hello, proof, posted, clock.now());
    // `offset` is by the system clock; simple clients have none.
    const shift = hello ? clock.now() - Date.now() : 0;
    // A page that reconnects has made frames up to `last`; a new page counts from the number that it gets here.
    const base = last > 0 ? last : trace.frame;
    const visit = new LiveVisit(trace, recording, offset + shift, born, base, clock, this, owner);
    this.#byId.set(id, visit);
    this.#byV.set(trace.v, visit);
    // The visitor may have been given to another connection before this answer arrived.
    if (!trace.released) return visit;
    visit.end('moved');
    return undefined;
  }

  /**
   * A page that reconnects continues with its own numbers, by which the store recognises repeated frames. All others
   * get numbers above all earlier frames of the visitor.
   */
  #startRecording(
    trace: LiveSink,
    country: string,
    hello: Hello | undefined,
    proof: Proof | undefined,
    posted: boolean,
    now: number,
  ): RecordSink {
    const { record } = this.#options;
    if (proof && hello && hello.last > 0) return record(trace.arrival, country, 0);
    trace.startPage(proof ? numberAfter(trace.frame, proof.n ?? 0, this.#options.run) : FIRST_NUMBER);
    const recording = record(trace.arrival, country, trace.frame);
    // Simple clients that come back by POST do not say whether a page was loaded.
    if (!proof || hello || !posted) {
      const loaded = Math.max(trace.lastTime, loadedAt(hello, now));
      recording.enter(trace.frame, loaded);
      // Simple clients may send samples from before.
      if (hello) trace.lastTime = loaded;
    }
    return recording;
  }

  /**
   * Starts to record frames of an earlier page of a visitor without letting that page in. The store recognises stored
   * frames by their numbers.
   */
  recordApart(contact: Contact, hello: Hello, { id, born }: Proof): RecordSink {
    return this.#options.record(arrivalOf(contact, id, hello, born), contact.country, 0);
  }

  /** What one visitor may send, from now on. */
  rateLimits(): RateLimits {
    return new RateLimits(this.config.maxFrameRate, this.config.maxRate);
  }

  /** False while nothing can be stored. */
  canRecord(): boolean {
    return this.#options.canRecord();
  }

  /** Continues to store the frames of a visitor after number `n`, with a new recording. */
  restartRecording(visit: LiveVisit, n: number): void {
    visit.recording = visit.recording.restart(n);
  }

  forget(visit: LiveVisit): void {
    if (this.#byId.get(visit.id) === visit) this.#byId.delete(visit.id);
    if (this.#byV.get(visit.trace.v) === visit) this.#byV.delete(visit.trace.v);
  }

  /** The current intervals for visitors of a site. */
  paceOf(site: string): Intervals {
    return this.#options.watched(site) ? this.pace.live : this.pace.quiet;
  }

  helloReply(visit: LiveVisit): HelloReply {
    const { id, site, born, base } = visit;
    const n = visit.recording.kept;
    return {
      type: 'hello',
      visitor: id,
      token: signToken(this.#options.secret, site, id, born, visit.now(), Math.max(base, n)),
      n,
      ...this.paceOf(visit.site),
    };
  }

  /** Like a hello, for a page that is no longer this visitor: it has no token, and every frame up to `n` is stored. */
  partingReply(site: string, visitor: string, n: number): HelloReply {
    return { type: 'hello', visitor, token: '', n, ...this.paceOf(site) };
  }

  drop(site: string, n: number): void {
    this.#options.drop(site, n);
  }
}

/** Maximum size of frames that are read, bytes. */
export function readLimit({ maxFrame }: Config): number {
  return Math.max(maxFrame, READ_BYTES);
}

/** A page's first number; 0 would mean that it has none yet. */
const FIRST_NUMBER = 1;
/** Range of numbers of one run of the server: a later page's number is the time since the computer was started, ms. */
const RUN_NUMBERS = 2 ** 35;
/**
 * Number of runs with different ranges: numbers stay below 2^46, and stores accept them up to 2^47 (MAX_FRAME_NUMBER).
 */
const RUNS = 2 ** 11;
/** The server assigns no higher number. A page may claim any number for its frames. */
const MAX_NUMBER = 2 ** 46;

/**
 * Returns a number above all that the visitor's pages had before, including those of other runs of the server and of
 * other nodes, even if the clock was set back. `frame` is the last that the primary knows, `token` the last in the
 * visitor's token: its page may have made more since. The run's number is for pages that come with the same token, from
 * duplicated tabs.
 */
function numberAfter(frame: number, token: number, run: number): number {
  const forRun = (run % RUNS) * RUN_NUMBERS + (monotonicNow() % RUN_NUMBERS);
  const after = [frame, token].map((n) => (n < MAX_NUMBER ? n + PAGE_NUMBERS : 0));
  return Math.max(frame + 1, ...after, forRun);
}

/** Maximum time since a page was loaded, as the page may claim it, milliseconds. */
const MAX_LOADED_MS = 60_000;

/** When a page was loaded, by its clock, which started then. Its first samples may be from before it could connect. */
function loadedAt(hello: Hello | undefined, now: number): number {
  return now - Math.min(hello?.clock ?? 0, MAX_LOADED_MS);
}
