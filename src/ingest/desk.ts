/**
 * Where visits of this worker begin and are found again: shared by WebSockets and POSTs.
 */
import type { Config } from '../config.ts';
import type { HelloReply } from '../protocol/control.ts';
import { type Hello, SampleBuffer } from '../protocol/frame.ts';
import type { GoneReason } from '../protocol/relay.ts';
import { Allowance } from './allowance.ts';
import { arrivalOf, type Contact } from './arrival.ts';
import type { IngestOptions } from './contract.ts';
import { type Intervals, Pace } from './pace.ts';
import { newVisitorId, type Proof, signToken, verifyToken } from './resume-token.ts';
import { Visit } from './visit.ts';

export class Desk {
  readonly config: Config;
  /** Filled by every frame anew: a frame is decoded and taken in one go. */
  readonly samples: SampleBuffer;
  readonly pace: Pace;
  readonly #options: IngestOptions;
  readonly #byId = new Map<string, Visit>();
  readonly #byV = new Map<number, Visit>();

  constructor(options: IngestOptions) {
    this.#options = options;
    this.config = options.config;
    this.samples = new SampleBuffer(options.config.maxSamples);
    this.pace = new Pace(options.config, options.config.quietFlushMs, performance.now());
  }

  find(id: string): Visit | undefined {
    return this.#byId.get(id);
  }

  findByNumber(v: number): Visit | undefined {
    return this.#byV.get(v);
  }

  /** What a resume token says, if it is good for this site. */
  identify(site: string, token: string): Proof | undefined {
    return token === '' ? undefined : verifyToken(this.#options.secret, site, token, Date.now());
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
    onEnd: (reason: GoneReason) => void,
  ): Promise<Visit | undefined> {
    const now = Date.now();
    const { id, made } = proof ?? { id: newVisitorId(), made: now };
    const trace = await this.#options.claim(arrivalOf(contact, id, hello, now), posted ? made : null);
    if (!trace) return undefined;
    const allowance = new Allowance(this.config.maxFrameRate);
    const visit = new Visit(trace, allowance, offset, Date.now(), (reason) => {
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

  #forget(visit: Visit): void {
    if (this.#byId.get(visit.id) === visit) this.#byId.delete(visit.id);
    if (this.#byV.get(visit.trace.v) === visit) this.#byV.delete(visit.trace.v);
  }

  /** What visitors of a site are to be told now. */
  paceOf(site: string): Intervals {
    return this.#options.watched(site) ? this.pace.live : this.pace.quiet;
  }

  helloReply(visit: Visit): HelloReply {
    return {
      type: 'hello',
      visitor: visit.id,
      token: signToken(this.#options.secret, visit.site, visit.id, Date.now()),
      n: visit.trace.frame,
      ...this.paceOf(visit.site),
    };
  }

  drop(site: string, n: number): void {
    this.#options.drop(site, n);
  }
}
