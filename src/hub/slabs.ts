/**
 * Memory for the bytes of events, which are written once, go to many sockets and are dropped in the order in which they came. It is used again and
 * again: V8 frees such memory only with a full collection, for which it waits until 64 MB of it are garbage.
 */

/** Large enough that the system takes one back when it is freed, bytes. */
const SLAB_BYTES = 256 * 1024;
/** A larger text has memory of its own, bytes. */
const MAX_BYTES = SLAB_BYTES / 4;
/** Slabs that wait for slow readers, or to be used again; more are left to V8. */
const MAX_IDLE = 16;

/** Who may still have bytes to send, which are read from a slab until then. */
export interface SlabReader {
  readonly hasUnsent: boolean;
}

interface Slab {
  memory: Buffer;
  /** Bytes that are taken. */
  end: number;
  /** Texts in it that were not dropped. */
  texts: number;
}

interface Retired<R> {
  slab: Slab;
  /** Readers that had bytes to send when nothing was in it any more, and still have; undefined: nobody has looked yet. */
  readers: Set<R> | undefined;
}

export class Slabs<R extends SlabReader> {
  #slab = newSlab();
  readonly #free: Slab[] = [];
  #retired: Retired<R>[] = [];
  /** Those that texts are in, by their memory. */
  readonly #used = new Map<ArrayBufferLike, Slab>();

  /** The bytes of a text. They stay as they are until `drop` is called with them. */
  write(text: string): Buffer {
    const length = Buffer.byteLength(text);
    if (length > MAX_BYTES) return Buffer.from(text);
    if (this.#slab.end + length > SLAB_BYTES) this.#next();
    const { memory, end } = this.#slab;
    const bytes = memory.subarray(end, end + length);
    bytes.write(text);
    this.#slab.end += length;
    this.#slab.texts += 1;
    this.#used.set(memory.buffer, this.#slab);
    return bytes;
  }

  #next(): void {
    const full = this.#slab;
    this.#slab = this.#free.pop() ?? newSlab();
    if (full.texts === 0) this.#retire(full);
  }

  /** The bytes of a text are not needed any more, but by readers that have them to send. */
  drop(bytes: Buffer): void {
    const slab = this.#used.get(bytes.buffer);
    if (!slab) return;
    slab.texts -= 1;
    if (slab.texts === 0 && slab !== this.#slab) this.#retire(slab);
  }

  #retire(slab: Slab): void {
    this.#used.delete(slab.memory.buffer);
    slab.end = 0;
    if (this.#retired.length + this.#free.length < MAX_IDLE) this.#retired.push({ slab, readers: undefined });
  }

  /** To be called now and then, while nothing is held back from sockets, with all readers there are. */
  settle(readers: Iterable<R>): void {
    if (this.#retired.length === 0) return;
    const unsent = new Set([...readers].filter(({ hasUnsent }) => hasUnsent));
    this.#retired = this.#retired.filter((retired) => {
      retired.readers = retired.readers ? intersection(retired.readers, unsent) : unsent;
      if (retired.readers.size === 0) this.#free.push(retired.slab);
      return retired.readers.size > 0;
    });
  }
}

function newSlab(): Slab {
  return { memory: Buffer.allocUnsafeSlow(SLAB_BYTES), end: 0, texts: 0 };
}

function intersection<T>(some: ReadonlySet<T>, others: ReadonlySet<T>): Set<T> {
  return new Set([...some].filter((one) => others.has(one)));
}
