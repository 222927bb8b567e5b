/**
 * Memory for the bytes of events. They are written once, go to many sockets and are dropped in the order in which they
 * came. The memory is reused, because V8 frees such memory only in a full collection, which it delays until 64 MB are
 * garbage.
 */

/** Large enough that the allocator returns it to the system when it is freed, bytes. */
const SLAB_BYTES = 256 * 1024;
/** A larger text gets its own buffer, bytes. */
const MAX_TEXT_BYTES = SLAB_BYTES / 4;
/** Maximum number of slabs that wait for slow readers or for reuse; the garbage collector frees the others. */
const MAX_IDLE = 16;

/** A reader that may still have bytes of a slab to send. */
export interface SlabReader {
  readonly hasUnsent: boolean;
}

interface Slab {
  memory: Buffer;
  /** Bytes in use. */
  end: number;
  /** Texts in it that are not dropped yet. */
  texts: number;
}

interface Retired<R> {
  slab: Slab;
  /** Readers that had unsent bytes when the slab became empty, and still have; undefined: not checked yet. */
  readers: Set<R> | undefined;
}

export class Slabs<R extends SlabReader> {
  #slab = newSlab();
  readonly #free: Slab[] = [];
  #retired: Retired<R>[] = [];
  /** Slabs that contain texts, by their memory. */
  readonly #used = new Map<ArrayBufferLike, Slab>();

  /** Returns the bytes of a text. They do not change until `drop` is called with them. */
  write(text: string): Buffer {
    const length = Buffer.byteLength(text);
    if (length > MAX_TEXT_BYTES) return Buffer.from(text);
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

  /** Releases the bytes of a text. Readers that still have to send them are waited for. */
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

  /** Frees slabs that no reader needs any more. Call it now and then with all readers, while no socket is corked. */
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

function intersection<T>(left: ReadonlySet<T>, right: ReadonlySet<T>): Set<T> {
  return new Set([...left].filter((one) => right.has(one)));
}
