/**
 * Reads the most frequent JSON frame, one plain move, directly from its bytes: JSON.parse takes more than twice as
 * long.
 */
import { KIND, type SampleBuffer } from './frame.ts';
import { timeOf } from './json.ts';
import { MAX_COORDINATE } from './limits.ts';

/**
 * Reads `{"id":…,"x":…,"y":…,"t":…}` from `bytes`, in any order, `id` and `t` optional, and fills `into` with the one
 * move. `id` is skipped, and only allowed if `skipId`. Returns false if the frame is anything else, or invalid:
 * `decodeJson` must read it then. Both give the same result for all frames that are read here.
 */
export function decodeJsonMove(
  bytes: Uint8Array,
  from: number,
  to: number,
  skipId: boolean,
  now: number,
  into: SampleBuffer,
): boolean {
  const cursor = scratch;
  if (!cursor.read(bytes, from, to, skipId)) return false;
  const { x, y, t } = cursor;
  if (!(Math.abs(x) <= MAX_COORDINATE && Math.abs(y) <= MAX_COORDINATE)) return false;
  into.clear();
  into.push(KIND.move, timeOf(Number.isNaN(t) ? undefined : t, now), Math.round(x), Math.round(y));
  return true;
}

const CHAR = {
  space: 0x20,
  quote: 0x22,
  comma: 0x2c,
  minus: 0x2d,
  dot: 0x2e,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  backslash: 0x5c,
  d: 0x64,
  i: 0x69,
  t: 0x74,
  x: 0x78,
  y: 0x79,
  open: 0x7b,
  close: 0x7d,
} as const;

/** Maximum number of digits that are exact in a double. */
const MAX_DIGITS = 15;

class Cursor {
  /** NaN if missing. */
  x = Number.NaN;
  y = Number.NaN;
  t = Number.NaN;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #to = 0;

  /** Returns false if it is not a plain object of these members, each once. */
  read(bytes: Uint8Array, from: number, to: number, skipId: boolean): boolean {
    this.x = this.y = this.t = Number.NaN;
    this.#bytes = bytes;
    this.#at = from;
    this.#to = to;
    let canSkipId = skipId;
    if (!this.#eat(CHAR.open)) return false;
    do {
      this.#eat(CHAR.space);
      if (!this.#eat(CHAR.quote)) return false;
      const name = this.#next();
      if (name === CHAR.i) {
        if (!canSkipId || !this.#eat(CHAR.d) || !this.#colon() || !this.#skipText()) return false;
        canSkipId = false;
      } else if (!this.#colon() || !this.#member(name)) return false;
    } while (this.#eat(CHAR.comma));
    return this.#eat(CHAR.close) && this.#at === this.#to;
  }

  /** Reads the value of a member other than `id`. */
  #member(name: number): boolean {
    const value = this.#number();
    if (Number.isNaN(value) || !Number.isNaN(this.#valueOf(name))) return false;
    if (name === CHAR.x) this.x = value;
    else if (name === CHAR.y) this.y = value;
    else this.t = value;
    return true;
  }

  /** Returns the value read for a member; not NaN if there is no such member. */
  #valueOf(name: number): number {
    if (name === CHAR.x) return this.x;
    if (name === CHAR.y) return this.y;
    return name === CHAR.t ? this.t : 0;
  }

  /** Returns the next byte and moves on; 0 at the end. */
  #next(): number {
    return this.#at < this.#to ? (this.#bytes[this.#at++] as number) : 0;
  }

  #eat(byte: number): boolean {
    if (this.#at >= this.#to || this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  /** Reads the end of a name, a colon, and an optional space. */
  #colon(): boolean {
    if (!this.#eat(CHAR.quote) || !this.#eat(CHAR.colon)) return false;
    this.#eat(CHAR.space);
    return true;
  }

  /** Skips a text of plain ASCII. */
  #skipText(): boolean {
    if (!this.#eat(CHAR.quote)) return false;
    for (;;) {
      const byte = this.#next();
      if (byte === CHAR.quote) return true;
      if (byte < CHAR.space || byte > 0x7e || byte === CHAR.backslash) return false;
    }
  }

  /** Reads a number without exponent. NaN if it is invalid, or has more digits than are exact. */
  #number(): number {
    const negative = this.#eat(CHAR.minus);
    const first = this.#at;
    let value = this.#digits(0);
    let digits = this.#at - first;
    if (digits === 0 || (digits > 1 && this.#bytes[first] === CHAR.zero)) return Number.NaN;
    if (this.#eat(CHAR.dot)) {
      const point = this.#at;
      value = this.#digits(value);
      const decimals = this.#at - point;
      if (decimals === 0) return Number.NaN;
      digits += decimals;
      // Both are exact, so the quotient is what JSON.parse returns.
      if (digits <= MAX_DIGITS) value /= 10 ** decimals;
    }
    if (digits > MAX_DIGITS) return Number.NaN;
    return negative ? -value : value;
  }

  #digits(value: number): number {
    let sum = value;
    for (; this.#at < this.#to; this.#at += 1) {
      const digit = (this.#bytes[this.#at] as number) - CHAR.zero;
      if (digit < 0 || digit > 9) break;
      sum = sum * 10 + digit;
    }
    return sum;
  }
}

const scratch = new Cursor();
