/**
 * One visitor's WebSocket, from upgrade to close: hello, frames, acks. The visit handles the contents of frames; this
 * file decides when to close, and with which code.
 */
import { isUtf8 } from 'node:buffer';
import { runLateTimers } from '../lib/punctual-timer.ts';
import { CLOSE, type CloseReason } from '../protocol/close.ts';
import { type Control, SUBPROTOCOL } from '../protocol/control.ts';
import { decodeHead, decodeHello, FRAME, type Hello } from '../protocol/frame.ts';
import { FrameError } from '../protocol/frame-error.ts';
import type { DisconnectReason } from '../protocol/ipc.ts';
import { parseJson } from '../protocol/json.ts';
import { decodeJsonMove } from '../protocol/json-move.ts';
import type { AddressUse } from './admission.ts';
import type { Contact } from './arrival.ts';
import type { LiveVisit, VisitOwner } from './live-visit.ts';
import type { Intervals } from './pace.ts';
import type { RateLimits } from './rate-limits.ts';
import type { VisitRegistry } from './visit-registry.ts';
import type { SocketOwner, VisitorSocket } from './visitor-socket.ts';

/** A visitor with more unread bytes than this gets no acks; acks are cumulative. */
const MAX_UNREAD = 64 * 1024;

/** Trackers give up a server that has not answered a frame for 10 s. */
const MAX_SILENT_ROUNDS = 4;

/** A client that has been admitted. */
export interface Newcomer {
  contact: Contact;
  /** The host that the request named. */
  host: string | undefined;
  address: AddressUse;
}

/** Holds the connections. */
export interface ConnectionHost {
  /** The connection is closed. Called once. */
  connectionClosed(connection: Connection): void;
}

/** There are many, most of them idle, so a connection holds no closures and forgets limits that are not in use. */
export class Connection implements SocketOwner, VisitOwner {
  readonly newcomer: Newcomer;
  readonly #host: ConnectionHost;
  readonly #socket: VisitorSocket;
  readonly #registry: VisitRegistry;
  readonly #binary: boolean;
  /** What this connection may send, beside the bytes of its address. Undefined: as much as a new one. */
  #limits: RateLimits | undefined;
  #visit: LiveVisit | undefined;
  /**
   * hello: not received yet · claiming: waiting for the primary, with the socket paused · open · ending: accepts
   * nothing more, what was accepted is being stored · closed
   */
  #state: 'hello' | 'claiming' | 'open' | 'ending' | 'closed' = 'hello';
  #helloTimer: NodeJS.Timeout | undefined;
  /** Frames that arrived together with the one before the pause; the byte bucket bounds them. */
  #early: [bytes: Buffer, isBinary: boolean][] | undefined;
  #hasLabel = false;
  #isAlive = true;
  #acked = 0;
  /** Updates without a message although a frame is unacked. */
  #silentRounds = 0;
  #pace: Intervals | undefined;

  /** `resume` is the token of a `json` client, or empty. */
  constructor(
    host: ConnectionHost,
    socket: VisitorSocket,
    registry: VisitRegistry,
    newcomer: Newcomer,
    resume: string,
  ) {
    this.newcomer = newcomer;
    this.#host = host;
    this.#socket = socket;
    this.#registry = registry;
    this.#binary = socket.protocol === SUBPROTOCOL.binary;
    socket.attach(this);
    if (this.#binary) this.#awaitHello();
    else void this.#claim(undefined, resume);
  }

  #awaitHello(): void {
    const { helloTimeoutMs } = this.#registry.config;
    this.#helloTimer = setTimeout(() => this.close('helloTimeout'), helloTimeoutMs);
  }

  #stopWaiting(): void {
    clearTimeout(this.#helloTimer);
    this.#helloTimer = undefined;
  }

  /** Handles a frame's payload: `bytes` from `from` to `to`, which are valid for this call only. */
  take(bytes: Buffer, from: number, to: number, isBinary: boolean): void {
    this.#isAlive = true;
    const now = performance.now();
    runLateTimers(now);
    if (this.#state === 'ending' || this.#state === 'closed') return;
    if (!this.#mayTake(to - from, now)) this.#closeTooFast();
    else if (this.#state === 'claiming') this.#bufferEarly(Buffer.from(bytes.subarray(from, to)), isBinary);
    else this.#read(bytes, from, to, isBinary);
  }

  #read(bytes: Buffer, from: number, to: number, isBinary: boolean): void {
    const now = this.#visit?.now() ?? Date.now();
    try {
      if (isBinary !== this.#binary) throw new FrameError('bad-type', 'the frame type does not match the subprotocol');
      if (isBinary) this.#onFrame(bytes, from, to, now);
      else this.#onText(bytes, from, to, now);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.close('badFrame', error.code);
    }
  }

  /** Counts a frame of this size. Returns false if a limit is reached. */
  #mayTake(bytes: number, now: number): boolean {
    this.#limits ??= this.#registry.rateLimits();
    return this.#limits.frame(now) && this.#limits.bytes(bytes, now) && this.newcomer.address.bytes.take(bytes, now);
  }

  /** Browsers never send pings, so they count like frames. */
  takeControl(): void {
    this.#isAlive = true;
    if (this.#state !== 'ending' && this.#state !== 'closed' && !this.#mayTake(0, performance.now()))
      this.#closeTooFast();
  }

  #closeTooFast(): void {
    this.#registry.drop(this.newcomer.contact.site, 1);
    this.close('tooFast');
  }

  #onFrame(bytes: Buffer, from: number, to: number, now: number): void {
    const { n, type, offset } = decodeHead(bytes, from, to);
    if (this.#state !== 'open') {
      if (type !== FRAME.hello) throw new FrameError('bad-type', 'the first frame must be hello');
      const hello = decodeHello(bytes, offset, to);
      void this.#claim(hello, hello.token);
      return;
    }
    const visit = this.#visit as LiveVisit;
    if (type === FRAME.samples) {
      this.#registry.readSamples(visit.site, bytes, from, offset, to);
      if (!visit.frame(n, this.#registry.samples, now)) this.#closeTooFast();
    } else if (type === FRAME.bye) this.#bye();
    else throw new FrameError('bad-type', 'a second hello');
  }

  #onText(bytes: Buffer, from: number, to: number, now: number): void {
    if (to - from > this.#registry.config.maxFrame) {
      this.close('tooBig');
      return;
    }
    if (decodeJsonMove(bytes, from, to, this.#hasLabel, now, this.#registry.samples)) {
      this.#applyText(false, now);
      return;
    }
    const text = bytes.subarray(from, to);
    if (isUtf8(text)) this.#applyText(this.#readText(text.toString(), now), now);
    else this.close('badPayload');
  }

  /** Reads a JSON frame. Returns true if it says bye. */
  #readText(text: string, now: number): boolean {
    const { label, bye } = this.#registry.readJson(this.newcomer.contact.site, parseJson(text), now);
    if (label !== undefined && !this.#hasLabel) {
      this.#hasLabel = true;
      (this.#visit as LiveVisit).name(label);
    }
    return bye;
  }

  #applyText(bye: boolean, now: number): void {
    if (!(this.#visit as LiveVisit).unnumbered(this.#registry.samples, now)) this.#closeTooFast();
    else if (bye) this.#bye();
  }

  #bye(): void {
    this.#finish('closed');
    this.#socket.close(1000);
  }

  /** Asks the primary to let the visitor in. The socket is paused meanwhile. */
  async #claim(hello: Hello | undefined, token: string): Promise<void> {
    this.#state = 'claiming';
    this.#stopWaiting();
    this.#socket.pause();
    const now = Date.now();
    const offset = hello ? now - hello.clock : 0;
    const proof = this.#registry.identify(this.newcomer.contact.site, token);
    const visit = await this.#registry.admit(this.newcomer.contact, hello, proof, false, offset, this);
    if (this.#isClosed()) return visit?.end('lost');
    if (!visit) return this.close('tryLater');
    this.#visit = visit;
    this.#state = 'open';
    this.#pace = this.#registry.paceOf(visit.site);
    this.#acked = visit.recording.kept;
    this.#send(this.#registry.helloReply(visit));
    this.#readEarly();
    this.#socket.resume();
  }

  #bufferEarly(bytes: Buffer, isBinary: boolean): void {
    this.#early ??= [];
    this.#early.push([bytes, isBinary]);
  }

  #readEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const [bytes, isBinary] of early) if (!this.#isClosed()) this.#read(bytes, 0, bytes.length, isBinary);
  }

  /** A method, because the compiler does not know that the state may change during an await. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Sends a control message to the visitor. */
  #send(message: Control): void {
    this.#socket.send(JSON.stringify(message));
  }

  /**
   * Sends what has changed since the last call: the last stored frame, and new intervals. Call it about once a second.
   */
  update(): void {
    if (this.#state !== 'open') return;
    const visit = this.#visit as LiveVisit;
    if (this.#registry.isTooOld(visit.born, Date.now())) return void this.#becomeNewVisitor(visit);
    // The visitor does not read. Acks are cumulative, so a later one is enough.
    if (this.#socket.bufferedAmount > MAX_UNREAD) return;
    if (this.#binary) this.#ack(visit.recording.kept, visit.trace.frame);
    if (visit.recording.broken && this.#registry.canRecord()) this.#restartRecording(visit);
    const pace = this.#registry.paceOf(visit.site);
    if (pace === this.#pace) return;
    this.#pace = pace;
    this.#send({ type: 'pace', ...pace });
  }

  /**
   * While nothing can be stored, the last ack is repeated from time to time. Otherwise the visitor would take the
   * server for dead.
   */
  #ack(stored: number, received: number): void {
    if (stored === this.#acked && (received <= stored || ++this.#silentRounds < MAX_SILENT_ROUNDS)) return;
    this.#silentRounds = 0;
    this.#acked = stored;
    this.#registry.counters.acks += 1;
    this.#send({ type: 'ack', n: stored });
  }

  /**
   * Makes the visitor come back as a new one. Everything accepted is acked before, so that it is not sent again as the
   * new visitor.
   */
  async #becomeNewVisitor(visit: LiveVisit): Promise<void> {
    this.#state = 'ending';
    await visit.recording.settled();
    if (this.#isClosed()) return;
    if (this.#binary) this.#ack(visit.recording.kept, visit.trace.frame);
    this.close('restart');
  }

  /**
   * Another connection has the visitor now. The page comes back as a new visitor and sends unacked frames again, so
   * everything stored is acked first. If it is unknown whether a frame was stored, the page comes back as the same
   * visitor: only then the store recognises its frames by their numbers.
   */
  async #yieldVisitor(visit: LiveVisit): Promise<void> {
    this.#state = 'ending';
    const { recording } = visit;
    await recording.settled();
    if (this.#isClosed()) return;
    if (this.#binary) this.#ack(recording.kept, recording.kept);
    this.close(this.#binary && recording.broken ? 'restart' : 'takenOver');
  }

  /** A visitor that reconnects sends again what could not be stored; simple clients have no buffer. */
  #restartRecording(visit: LiveVisit): void {
    if (this.#binary) this.close('restart');
    else this.#registry.restartRecording(visit, visit.trace.frame);
  }

  /** Sends a ping, and cuts the connection if it was silent since the last call. */
  probe(): void {
    if (!this.#isAlive) this.#socket.terminate();
    this.#isAlive = false;
    if (this.#state !== 'closed') this.#socket.ping();
  }

  /** Gives back memory that an idle visitor does not need. Call it from time to time. */
  rest(): void {
    if (this.#limits?.areFull(performance.now())) this.#limits = undefined;
    this.#visit?.rest();
  }

  /** Ends the connection from our side. */
  close(reason: CloseReason, detail: string = reason): void {
    if (this.#state !== 'closed') this.#registry.counters.closed(reason);
    this.#finish(DISCONNECT_REASONS[reason]);
    this.#socket.resume();
    this.#socket.close(CLOSE[reason], detail);
  }

  visitEnded(_visit: LiveVisit, reason: DisconnectReason): void {
    if (this.#state !== 'open') return;
    if (reason === 'moved') void this.#yieldVisitor(this.#visit as LiveVisit);
    else this.#bye();
  }

  socketFailed(): void {
    this.#finish('refused');
  }

  socketClosed(code: number): void {
    // 1005: closed without a code, as `socket.close()` in a page does. 1006: cut.
    this.#finish(code === 1000 || code === 1001 || code === 1005 ? 'closed' : 'lost');
    this.#host.connectionClosed(this);
  }

  #finish(reason: DisconnectReason): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#stopWaiting();
    this.#visit?.end(reason);
  }
}

/** The reason for the primary when we close. */
const DISCONNECT_REASONS: Record<CloseReason, DisconnectReason> = {
  goingAway: 'server',
  badPayload: 'refused',
  tooBig: 'refused',
  restart: 'server',
  tryLater: 'server',
  badFrame: 'refused',
  helloTimeout: 'refused',
  takenOver: 'moved',
  siteGone: 'refused',
  tooFast: 'refused',
};
