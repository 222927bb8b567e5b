/**
 * Where visits of this worker begin and are found again: shared by WebSockets and POSTs.
 */
import type { Config } from '../config/config.ts';
import { monotonicNow } from '../lib/monotonic.ts';
import type { HelloReply } from '../protocol/control.ts';
import { decodeSamples, type Hello, READ_BYTES, READ_SAMPLES, SampleBuffer } from '../protocol/frame.ts';
import { type DisconnectReason, PAGE_NUMBERS } from '../protocol/ipc.ts';
import { type JsonFrame, readJson } from '../protocol/json.ts';
import { arrivalOf, type Contact } from './arrival.ts';
import type { IngestOptions, Recording, Trace } from './contract.ts';
import { Counters } from './counters.ts';
import type { Intervals, Pace } from './pace.ts';
import { RateLimits } from './rate-limits.ts';
import { newVisitorId, type Proof, signToken, verifyToken } from './resume-token.ts';
import { LiveVisit } from './visit.ts';
import { VisitClock } from './visit-clock.ts';

export class VisitRegistry {
  readonly config: Config;
  /** Filled by every frame anew: a frame is decoded and taken in one go. */
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

  /** What a resume token says, if it is good for this site and its visitor is not too old. */
  identify(site: string, token: string): Proof | undefined {
    const proof = token === '' ? undefined : verifyToken(this.#options.secret, site, token);
    return proof && !this.isTooOld(proof.born, Date.now()) ? proof : undefined;
  }

  /**
   * Reads the samples of a frame, which is `bytes` from `from` to `to`; its payload begins at `offset`. Of a frame with
   * too many bytes none are kept, and of one with too many samples as many as the limit allows: its number is acked all
   * the same.
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

  /** As `readSamples`, of the JSON form. */
  readJson(site: string, items: readonly unknown[], now: number): JsonFrame {
    const frame = readJson(items, now, this.samples);
    this.#limitSamples(site);
    return frame;
  }

  #limitSamples(site: string): void {
    const dropped = this.samples.limit(this.config.maxSamples);
    if (dropped > 0) this.drop(site, dropped);
  }

  /** A tab may be left open for long, but not for ever: who first came so long ago is to come again as somebody new. */
  isTooOld(born: number, now: number): boolean {
    return now - born >= this.config.maxVisitMs;
  }

  /**
   * Has the primary let a visitor in: the one of `proof`, or a new one. `posted`: it has no socket. `onEnd` is
   * called when the visit ends. Undefined: not now.
   */
  async admit(
    contact: Contact,
    hello: Hello | undefined,
    proof: Proof | undefined,
    posted: boolean,
    offset: number,
    onEnd: (reason: DisconnectReason) => void,
  ): Promise<LiveVisit | undefined> {
    const now = Date.now();
    const { id, born, made } = proof ?? { id: newVisitorId(), born: now, made: now };
    const last = proof ? (hello?.last ?? 0) : 0;
    const trace = await this.#options.claim(arrivalOf(contact, id, hello, born), posted ? made : null, last);
    if (!trace) return undefined;
    // What streams were told before the server was started, or long ago, is in the record.
    if (trace.frame < 0) trace.frame = await this.#options.lastFrame(contact.site, id, last);
    const clock = new VisitClock(Math.max(made, trace.lastTime));
    const recording = this.#begin(trace, contact.country, hello, proof, posted, clock.now());
    const rateLimits = this.rateLimits();
    // `offset` is by the server's clock; simple clients have none.
    const shift = hello ? clock.now() - Date.now() : 0;
    // A page that goes on has made frames up to `last`; a new one counts from the number that it is given here.
    const base = last > 0 ? last : trace.frame;
    const visit = new LiveVisit(trace, recording, rateLimits, offset + shift, born, base, clock, (reason) => {
      this.#forget(visit);
      onEnd(reason);
    });
    this.#byId.set(id, visit);
    this.#byV.set(trace.v, visit);
    // It may have been given to another connection before this one heard that it has it.
    if (!trace.released) return visit;
    visit.end('moved');
    return undefined;
  }

  /**
   * A page that connects again goes on with its own numbers; what it sends again is told from what is stored by the
   * store. All others get numbers that no earlier frames of the visitor have.
   */
  #begin(
    trace: Trace,
    country: string,
    hello: Hello | undefined,
    proof: Proof | undefined,
    posted: boolean,
    now: number,
  ): Recording {
    const { record } = this.#options;
    if (proof && hello && hello.last > 0) return record(trace.arrival, country, 0);
    trace.begin(proof ? numberAfter(trace.frame, proof.n ?? 0, this.#options.run) : FIRST_NUMBER);
    const recording = record(trace.arrival, country, trace.frame);
    // Simple clients that come again by POST do not tell whether they are on a page that was loaded.
    if (!proof || hello || !posted) {
      const loaded = Math.max(trace.lastTime, loadedAt(hello, now));
      recording.enter(trace.frame, loaded);
      // Simple clients may send what is from before.
      if (hello) trace.lastTime = loaded;
    }
    return recording;
  }

  /**
   * Begins to record frames of an earlier page of a visitor without letting that page in: what is stored already is
   * recognised by its number.
   */
  recordApart(contact: Contact, hello: Hello, { id, born }: Proof): Recording {
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

  /** Begins again to keep the frames of a visitor, after number `n`. */
  restartRecording(visit: LiveVisit, n: number): void {
    visit.recording = visit.recording.restart(n);
  }

  #forget(visit: LiveVisit): void {
    if (this.#byId.get(visit.id) === visit) this.#byId.delete(visit.id);
    if (this.#byV.get(visit.trace.v) === visit) this.#byV.delete(visit.trace.v);
  }

  /** What visitors of a site are to be told now. */
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

  /** As a hello, for a page that is no longer this visitor: it has no token, and every frame up to `n` is stored. */
  partingReply(site: string, visitor: string, n: number): HelloReply {
    return { type: 'hello', visitor, token: '', n, ...this.paceOf(site) };
  }

  drop(site: string, n: number): void {
    this.#options.drop(site, n);
  }
}

/** Frames up to so many bytes are read. */
export function readLimit({ maxFrame }: Config): number {
  return Math.max(maxFrame, READ_BYTES);
}

/** A page's first number; 0 would say that it has none yet. */
const FIRST_NUMBER = 1;
/** Numbers that one run of the server gives: a later page's number is the time since the machine was started, ms. */
const RUN_NUMBERS = 2 ** 35;
/** Runs that are told apart: numbers stay below 2^46, and stores take those up to 2^47 (MAX_FRAME_NUMBER). */
const RUNS = 2 ** 11;
/** No number that we give is so high: a page may say of its frames what it likes. */
const MAX_NUMBER = 2 ** 46;

/**
 * A number above all that the visitor's pages had before: also above those of other runs of the server and of other
 * machines, and if the clock was set back. `frame` is the last that the primary knows of, `token` the last that the
 * visitor's token knows of: its page may have made more since. The number of a run is for pages that come with one and
 * the same token, of tabs that were duplicated.
 */
function numberAfter(frame: number, token: number, run: number): number {
  const ofRun = (run % RUNS) * RUN_NUMBERS + (monotonicNow() % RUN_NUMBERS);
  const after = [frame, token].map((n) => (n < MAX_NUMBER ? n + PAGE_NUMBERS : 0));
  return Math.max(frame + 1, ...after, ofRun);
}

/** How long ago a page may say that it was loaded, milliseconds. */
const MAX_LOADED_MS = 60_000;

/** When a page was loaded, by its clock, which began then. Its first samples may be from before it could connect. */
function loadedAt(hello: Hello | undefined, now: number): number {
  return now - Math.min(hello?.clock ?? 0, MAX_LOADED_MS);
}
