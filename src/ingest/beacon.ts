/**
 * Frames by POST: the last frames of a page (`sendBeacon`), and visitors whose WebSocket is blocked. A body is a hello,
 * which identifies the visitor, followed by frames; or JSON.
 */

import { isAllowedOrigin } from '../model/site.ts';
import { decodeHead, decodeHello, FRAME, type Hello, splitFrames } from '../protocol/frame.ts';
import { FrameError } from '../protocol/frame-error.ts';
import { parseJson, tokenIn } from '../protocol/json.ts';
import type { Beacon, BeaconReply } from '../protocol/post.ts';
import type { ProblemCode } from '../protocol/problems.ts';
import type { Admission, Refused } from './admission.ts';
import type { Contact } from './arrival.ts';
import type { IngestOptions } from './contract.ts';
import { EarlierPage } from './earlier-page.ts';
import type { LiveVisit } from './live-visit.ts';
import { REFUSALS, RETRY_S } from './refusal.ts';
import type { Proof } from './resume-token.ts';
import { readLimit, type VisitRegistry } from './visit-registry.ts';

/**
 * A visitor without a socket that is silent for this long has left, milliseconds. Its tracker sends something every 4
 * s.
 */
const SILENCE_MS = 10_000;

/** One POST. The visitor is read at once, the frames only when they are applied. */
interface Message {
  hello: Hello | undefined;
  token: string;
  /** The message says bye. In the JSON form this is known only after `apply`. */
  bye: boolean;
  /** Number of its first frame; 0 if it has none, or if frames have no numbers. */
  first: number;
  /** Applies as many frames as the visit may send now. Returns false if it may send none. Throws FrameError. */
  apply(visit: LiveVisit, now: number): boolean;
  /** Stores as many frames of an earlier page as the visitor may send. Throws FrameError. */
  store(page: EarlierPage): void;
}

export class Beacons {
  readonly #registry: VisitRegistry;
  readonly #options: IngestOptions;
  readonly #admission: Admission;
  /** Visits without a socket. */
  readonly #posted = new Set<LiveVisit>();

  constructor(registry: VisitRegistry, options: IngestOptions, admission: Admission) {
    this.#registry = registry;
    this.#options = options;
    this.#admission = admission;
  }

  async receive(request: Beacon): Promise<BeaconReply> {
    const bytes = request.body.length;
    // Checked before anything is decoded.
    const now = performance.now();
    if (!this.#admission.bytesOf(request.peer.address, now).take(bytes, now)) return TOO_FAST;
    const site = await this.#options.site(request.site);
    if (!site) return problem(404, 'unknown-site', 'There is no such site.');
    if (!isAllowedOrigin(site, request.origin, request.peer.host))
      return problem(403, 'origin-not-allowed', 'This site does not allow that origin.');
    if (site.firstSeen === null) this.#options.markSeen(request.site);
    try {
      return await this.#handle(request, this.#read(request));
    } catch (error) {
      if (error instanceof FrameError)
        return problem(error.code === 'too-large' ? 413 : 400, error.code, error.message);
      throw error;
    }
  }

  #read({ site, body, json }: Beacon): Message {
    return json ? this.#readJson(site, body) : this.#readFrames(site, body);
  }

  #readJson(site: string, body: Buffer): Message {
    const items = parseJson(body.toString());
    const message: Message = {
      hello: undefined,
      token: tokenIn(items),
      bye: false,
      apply: (visit, now) => {
        const { label, bye } = this.#registry.readJson(site, items, now);
        message.bye = bye;
        if (label !== undefined && visit.trace.arrival.label !== label) visit.name(label);
        return visit.rateLimits.frame(now) && visit.unnumbered(this.#registry.samples, now);
      },
      first: 0,
      store: () => {},
    };
    return message;
  }

  #readFrames(site: string, body: Buffer): Message {
    const frames = splitFrames(body, readLimit(this.#registry.config)).map((bytes) => ({
      bytes,
      ...decodeHead(bytes),
    }));
    const [first, ...rest] = frames;
    if (first?.type !== FRAME.hello) throw new FrameError('bad-type', 'the first frame must be hello');
    const hello = decodeHello(first.bytes, first.offset);
    const samples = rest.filter(({ type }) => type === FRAME.samples);
    const read = ({ bytes, offset }: (typeof samples)[number]) =>
      this.#registry.readSamples(site, bytes, 0, offset, bytes.length);
    return {
      hello,
      token: hello.token,
      bye: rest.some(({ type }) => type === FRAME.bye),
      apply: (visit, now) => {
        for (const [i, frame] of samples.entries()) {
          read(frame);
          // The page sends the rest again: the response says which frame was accepted last.
          if (!visit.rateLimits.frame(now) || !visit.frame(frame.n, this.#registry.samples, now)) return i > 0;
        }
        return true;
      },
      first: samples[0]?.n ?? 0,
      store: (page) => {
        for (const frame of samples) {
          read(frame);
          if (!page.take(frame.n, this.#registry.samples)) return;
        }
      },
    };
  }

  async #handle(request: Beacon, message: Message): Promise<BeaconReply> {
    const proof = this.#registry.identify(request.site, message.token);
    if (message.bye && isNumberedForAnother(message, proof)) return UNKNOWN_VISITOR;
    const known = proof && this.#registry.find(proof.id);
    const visit = await this.#visitOf(request, message, proof);
    if ('status' in visit) return visit;
    const now = visit.now();
    if (!visit.rateLimits.post(now) || !visit.rateLimits.bytes(request.body.length, now)) return TOO_FAST;
    if (message.hello && this.#posted.has(visit)) visit.offset = now - message.hello.clock;
    if (visit.recording.broken && this.#registry.canRecord())
      this.#registry.restartRecording(visit, message.hello ? 0 : visit.trace.frame);
    // The response tells the page its new identity and first frame number. The page then sends the frames again.
    const received = isNumberedForAnother(message, proof) || this.#apply(message, visit, known !== visit);
    if (message.bye) visit.end('closed');
    await visit.recording.settled();
    // Simple clients have no buffer and ignore frame numbers.
    if (!message.hello && visit.recording.broken) return TRY_LATER;
    const reply = this.#registry.helloReply(visit);
    return received ? { status: 200, body: reply } : TOO_FAST;
  }

  /** Applies the message. A visitor that was just let in is refused if its frames cannot be read. */
  #apply(message: Message, visit: LiveVisit, isNew: boolean): boolean {
    try {
      return message.apply(visit, visit.now());
    } catch (error) {
      if (isNew) visit.end('refused');
      throw error;
    }
  }

  /**
   * Returns the visit of this worker, or lets the visitor in again, so that the primary takes it from the worker that
   * had it. If the visitor is on a later page now, this stores the frames of the POST and returns the response.
   */
  async #visitOf(request: Beacon, message: Message, proof: Proof | undefined): Promise<LiveVisit | BeaconReply> {
    const { hello, bye, first } = message;
    const known = proof && this.#registry.find(proof.id);
    const isPosted = known !== undefined && this.#posted.has(known);
    if (!known) {
      const visit = await this.#admit(request, hello, proof);
      return visit === TRY_LATER && bye && hello && proof
        ? this.#storeForEarlierPage(request, hello, proof, message)
        : visit;
    }
    if (hello && hello.last > 0 && hello.last < known.base)
      return this.#storeForEarlierPage(request, hello, proof, message);
    if (!isPosted && proof.made < known.since)
      return bye && hello ? this.#storeForEarlierPage(request, hello, proof, message) : TRY_LATER;
    // True for another page of the visitor, while the current one has not said bye: a new page, or a page with frames
    // that went to another connection.
    const isOtherPage = hello?.last === 0 || (hello !== undefined && first > known.recording.taken + 1);
    if (!isPosted || !isOtherPage) return known;
    known.end('moved');
    return this.#admit(request, hello, proof);
  }

  /**
   * Stores the frames of an earlier page of a visitor, and sends unknown marks to streams. The visitor stays on its
   * current page. If the earlier page is still open, the empty token makes it start over: everything that it sent as
   * this visitor is stored and acked.
   */
  async #storeForEarlierPage(
    { site, page, origin, peer }: Beacon,
    hello: Hello,
    proof: Proof,
    message: Message,
  ): Promise<BeaconReply> {
    const { id } = proof;
    const stored = await this.#options.lastFrame(site, id, hello.last);
    const recording = this.#registry.recordApart(
      { site, page, origin: origin ?? '', country: peer.country },
      hello,
      proof,
    );
    const earlier = new EarlierPage(recording, this.#registry.rateLimits(), hello, Date.now(), (late) => {
      if (late.n > stored) this.#options.late({ site, id, ...late });
    });
    message.store(earlier);
    await recording.settled();
    if (recording.broken) return TRY_LATER;
    return { status: 200, body: this.#registry.partingReply(site, id, recording.kept) };
  }

  async #admit(
    { site, page, origin, peer }: Beacon,
    hello: Hello | undefined,
    proof: Proof | undefined,
  ): Promise<LiveVisit | BeaconReply> {
    const entry = this.#admission.enter(peer.address, performance.now());
    if (typeof entry === 'string') return refusalOf(entry);
    let hasLeft = false;
    const leave = () => {
      if (!hasLeft) this.#admission.leave(entry);
      hasLeft = true;
    };
    const contact: Contact = { site, page, origin: origin ?? '', country: peer.country };
    const offset = hello ? Date.now() - hello.clock : 0;
    const visitEnded = (ended: LiveVisit) => {
      this.#posted.delete(ended);
      leave();
    };
    const visit = await this.#registry.admit(contact, hello, proof, true, offset, { visitEnded });
    if (!visit) {
      leave();
      return TRY_LATER;
    }
    this.#posted.add(visit);
    return visit;
  }

  /** Ends visits that have been silent for SILENCE_MS. */
  sweep(): void {
    for (const visit of this.#posted) if (visit.now() - visit.lastHeard > SILENCE_MS) visit.end('lost');
  }

  /** Ends all visits without a socket when the server stops. */
  close(): void {
    for (const visit of this.#posted) visit.end('server');
  }
}

/**
 * True for frames that were numbered for another visitor: the page has given up its token, or the token is too old or
 * not ours. The page gives these frames new numbers and sends them again. Storing them now would store them twice.
 */
function isNumberedForAnother({ hello }: Message, proof: Proof | undefined): boolean {
  return hello !== undefined && hello.last > 0 && proof === undefined;
}

const TITLES: Record<number, string> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  413: 'Content Too Large',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

function refusalOf(why: Refused): BeaconReply {
  const { status, detail } = REFUSALS[why];
  return { ...problem(status, why, detail), retryAfter: RETRY_S };
}

/** An RFC 9457 problem. */
function problem(status: number, code: ProblemCode, detail: string): BeaconReply {
  return { status, body: { type: 'about:blank', title: TITLES[status] ?? '', status, code, detail } };
}

const TRY_LATER: BeaconReply = {
  ...problem(503, 'try-later', 'The visitor cannot be admitted at the moment.'),
  retryAfter: 2,
};
const UNKNOWN_VISITOR = problem(409, 'unknown-visitor', 'The token is no longer valid, so the frames are not stored.');
const TOO_FAST: BeaconReply = { ...problem(429, 'too-fast', 'The visitor sends more than is allowed.'), retryAfter: 1 };
