/**
 * Reads whole data frames (RFC 6455 section 5) straight from a socket's bytes. Nearly all frames of visitors arrive
 * whole, and reading one here costs less than passing it through the stream inside ws. Everything else goes to ws
 * unchanged: control frames, fragments, parts of frames, and protocol errors, which ws answers.
 */
import type { Socket } from 'node:net';
import type { Sink } from './shared-read.ts';

/** The receiver of frames. The unmasked payload is `bytes` from `from` to `to`; both are valid for the call only. */
export interface Taker {
  take(bytes: Buffer, from: number, to: number, isBinary: boolean): void;
}

const FIN = 0x80;
const OPCODE = 0x0f;
const CONTINUATION = 0;
const TEXT = FIN | 1;
const BINARY = FIN | 2;
/** Opcodes from here on are control frames, which may come between fragments; the first is Close. */
const CONTROL = 8;
const CLOSE = 8;
const MASKED = 0x80;
/**
 * Shorter payloads have a length of one byte. This value says that two bytes of length follow, and the next value
 * eight.
 */
const LENGTH_16 = 126;
/** Two bytes, and the mask. */
const SHORT_HEAD = 6;
const LONG_HEAD = 8;

/** One per visitor, so it holds no closures. */
export class FrameReader implements Sink {
  readonly #maxPayload: number;
  #socket: Socket | undefined;
  #receiver: Taker | undefined;
  /** Remaining bytes of a frame of which ws has the first part. */
  #remaining = 0;
  /** The header of a frame whose length has not arrived yet. */
  #partialHeader: Buffer | undefined;
  /** ws has the first fragments of a message. */
  #fragmented = false;

  /** `maxPayload`: maximum size of frames that are read here, bytes; ws refuses larger ones. */
  constructor(maxPayload: number) {
    this.#maxPayload = maxPayload;
  }

  /**
   * From now on `receiver` gets the data frames; text is not checked to be UTF-8. All other bytes go, copied and in
   * order, to the `data` event of `socket`, where ws listens.
   */
  open(socket: Socket, receiver: Taker): void {
    this.#socket = socket;
    this.#receiver = receiver;
  }

  /** Reads received bytes: `chunk` from 0 to `length`. They are changed but not retained. */
  read(chunk: Buffer, length: number): void {
    const partial = this.#partialHeader;
    this.#partialHeader = undefined;
    if (partial) this.#read(Buffer.concat([partial, chunk.subarray(0, length)]), partial.length + length);
    else this.#read(chunk, length);
  }

  #read(bytes: Buffer, length: number): void {
    let at = Math.min(this.#remaining, length);
    this.#remaining -= at;
    /** The bytes from here up to `at` go to ws. */
    let from = 0;
    while (at < length) {
      const end = frameEnd(bytes, at, length);
      if (end === 0) break;
      if (end <= length && this.#isWholeDataFrame(bytes, at, end)) {
        this.#passToWs(bytes, from, at);
        this.#deliver(bytes, at, end);
        at = from = end;
      } else {
        this.#trackFragments(bytes[at] as number);
        this.#remaining = Math.max(0, end - length);
        at = Math.min(end, length);
      }
    }
    this.#passToWs(bytes, from, at);
    if (at < length) this.#partialHeader = Buffer.from(bytes.subarray(at, length));
  }

  #passToWs(bytes: Buffer, from: number, to: number): void {
    if (from < to) this.#socket?.emit('data', Buffer.from(bytes.subarray(from, to)));
  }

  #isWholeDataFrame(bytes: Buffer, at: number, end: number): boolean {
    const first = bytes[at];
    return (first === TEXT || first === BINARY) && end - at - SHORT_HEAD <= this.#maxPayload && !this.#fragmented;
  }

  #deliver(bytes: Buffer, at: number, end: number): void {
    const from = at + (((bytes[at + 1] as number) & ~MASKED) === LENGTH_16 ? LONG_HEAD : SHORT_HEAD);
    unmask(bytes, from, end);
    this.#receiver?.take(bytes, from, end, bytes[at] === BINARY);
  }

  /** Tracks whether a frame that goes to ws starts or ends a fragmented message. */
  #trackFragments(first: number): void {
    const opcode = first & OPCODE;
    if (opcode >= CONTROL) return;
    if (first & FIN) this.#fragmented &&= opcode !== CONTINUATION;
    else this.#fragmented = true;
  }
}

/**
 * Returns the end of the frame at `at`, or 0 if its length has not arrived. Returns Infinity, which passes all
 * remaining bytes to ws, for a Close frame, after which nothing counts, and for frames for which ws closes the
 * connection: a frame without a mask is an error, and a length of eight bytes far too large.
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

/** Applies the four mask bytes before `from` to the payload (RFC 6455 section 5.3). */
function unmask(bytes: Buffer, from: number, to: number): void {
  const a = bytes[from - 4] as number;
  const b = bytes[from - 3] as number;
  const c = bytes[from - 2] as number;
  const d = bytes[from - 1] as number;
  // As in ws: a mask of zeros leaves the payload unchanged.
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
