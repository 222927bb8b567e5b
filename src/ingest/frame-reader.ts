/**
 * Takes whole data frames (RFC 6455 section 5) straight from a socket's bytes. Nearly all of a visitor's frames come
 * whole, and reading one here costs less than its way through the stream inside ws. Everything else goes to ws as it
 * came: control frames, fragments, pieces of frames, and faults, which ws answers.
 */
import type { Socket } from 'node:net';
import type { Sink } from './shared-read.ts';

/** Whoever gets the frames. The payload, unmasked, is `bytes` from `from` to `to`; both are good for the call only. */
export interface Taker {
  take(bytes: Buffer, from: number, to: number, isBinary: boolean): void;
}

const FIN = 0x80;
const OPCODE = 0x0f;
const CONTINUATION = 0;
const TEXT = FIN | 1;
const BINARY = FIN | 2;
/** Opcodes from here on are of control frames, which may come between fragments; the first is Close. */
const CONTROL = 8;
const CLOSE = 8;
const MASKED = 0x80;
/** Lengths of one byte end here; this one says that two bytes follow, and the next eight. */
const LENGTH_16 = 126;
/** Two bytes, and the mask. */
const SHORT_HEAD = 6;
const LONG_HEAD = 8;

/** There is one for each visitor, so it holds no closures. */
export class FrameReader implements Sink {
  readonly #maxPayload: number;
  #socket: Socket | undefined;
  #taker: Taker | undefined;
  /** Bytes that are still to come of a frame which ws has begun. */
  #owed = 0;
  /** A head of which the length is not here yet. */
  #held: Buffer | undefined;
  /** ws has the first fragments of a message. */
  #fragmented = false;

  /** `maxPayload`: of the frames that are taken here, bytes; ws refuses what is larger. */
  constructor(maxPayload: number) {
    this.#maxPayload = maxPayload;
  }

  /**
   * From now on `taker` gets the data frames, of which texts are not checked to be UTF-8; all other bytes go, as copies
   * and in their order, to the `data` event of `socket`, where ws listens.
   */
  open(socket: Socket, taker: Taker): void {
    this.#socket = socket;
    this.#taker = taker;
  }

  /** Reads what has come: `chunk` from 0 to `length`. It is changed, and not kept. */
  read(chunk: Buffer, length: number): void {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#read(Buffer.concat([held, chunk.subarray(0, length)]), held.length + length);
    else this.#read(chunk, length);
  }

  #read(bytes: Buffer, length: number): void {
    let at = Math.min(this.#owed, length);
    this.#owed -= at;
    /** What is before `at` and not before this goes to ws. */
    let from = 0;
    while (at < length) {
      const end = frameEnd(bytes, at, length);
      if (end === 0) break;
      if (end <= length && this.#isOurs(bytes, at, end)) {
        this.#passOn(bytes, from, at);
        this.#take(bytes, at, end);
        at = from = end;
      } else {
        this.#noteFragments(bytes[at] as number);
        this.#owed = Math.max(0, end - length);
        at = Math.min(end, length);
      }
    }
    this.#passOn(bytes, from, at);
    if (at < length) this.#held = Buffer.from(bytes.subarray(at, length));
  }

  #passOn(bytes: Buffer, from: number, to: number): void {
    if (from < to) this.#socket?.emit('data', Buffer.from(bytes.subarray(from, to)));
  }

  #isOurs(bytes: Buffer, at: number, end: number): boolean {
    const first = bytes[at];
    return (first === TEXT || first === BINARY) && end - at - SHORT_HEAD <= this.#maxPayload && !this.#fragmented;
  }

  #take(bytes: Buffer, at: number, end: number): void {
    const from = at + (((bytes[at + 1] as number) & ~MASKED) === LENGTH_16 ? LONG_HEAD : SHORT_HEAD);
    unmask(bytes, from, end);
    this.#taker?.take(bytes, from, end, bytes[at] === BINARY);
  }

  /** Notes what a frame that ws gets does to the message it is of. */
  #noteFragments(first: number): void {
    const opcode = first & OPCODE;
    if (opcode >= CONTROL) return;
    if (first & FIN) this.#fragmented &&= opcode !== CONTINUATION;
    else this.#fragmented = true;
  }
}

/**
 * Where the frame at `at` ends; 0 if its length is not all here. Infinity, so that ws gets all the rest, if it is Close,
 * after which nothing counts, or if ws will close the connection: without a mask it is a fault, with a length of
 * eight bytes far too big.
 */
function frameEnd(bytes: Buffer, at: number, to: number): number {
  if (to - at < 2) return 0;
  const second = bytes[at + 1] as number;
  const length = second & ~MASKED;
  if (!(second & MASKED) || length > LENGTH_16 || ((bytes[at] as number) & OPCODE) === CLOSE)
    return Number.POSITIVE_INFINITY;
  if (length < LENGTH_16) return at + SHORT_HEAD + length;
  return to - at < 4 ? 0 : at + LONG_HEAD + bytes.readUInt16BE(at + 2);
}

/** Applies the four bytes before `from` to what follows (RFC 6455 section 5.3). */
function unmask(bytes: Buffer, from: number, to: number): void {
  const a = bytes[from - 4] as number;
  const b = bytes[from - 3] as number;
  const c = bytes[from - 2] as number;
  const d = bytes[from - 1] as number;
  // As ws does: a key of zeros leaves the payload as it is.
  if ((a | b | c | d) === 0) return;
  let i = from;
  for (; i + 3 < to; i += 4) {
    bytes[i] = (bytes[i] as number) ^ a;
    bytes[i + 1] = (bytes[i + 1] as number) ^ b;
    bytes[i + 2] = (bytes[i + 2] as number) ^ c;
    bytes[i + 3] = (bytes[i + 3] as number) ^ d;
  }
  for (; i < to; i++) bytes[i] = (bytes[i] as number) ^ (bytes[from - 4 + ((i - from) & 3)] as number);
}
