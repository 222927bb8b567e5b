/**
 * The latest events, so that a stream that was cut can continue without a gap. Bounded in bytes and in number; the
 * oldest events are dropped first.
 */
export interface BufferedEvent {
  seq: number;
  site: string;
  /** Number of the channel for moves and scrolls; 0 for events of the site. */
  channel: number;
  /** The pages that this event concerns; empty for all. */
  pages: readonly string[];
  /** Id of the visitor that this event concerns, or null for all. */
  visitor: string | null;
  bytes: Buffer;
}

export class ReplayBuffer {
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  #entries: (BufferedEvent | undefined)[] = [];
  #start = 0;
  #bytes = 0;
  #lastDropped = 0;
  readonly #onDropped: (bytes: Buffer) => void;

  /** `onDropped` is called with the bytes of each dropped entry. */
  constructor(maxBytes: number, maxEntries: number, onDropped: (bytes: Buffer) => void = () => {}) {
    this.#onDropped = onDropped;
    this.#maxBytes = maxBytes;
    this.#maxEntries = maxEntries;
  }

  add(entry: BufferedEvent): void {
    this.#entries.push(entry);
    this.#bytes += entry.bytes.length;
    while (this.#bytes > this.#maxBytes || this.#entries.length - this.#start > this.#maxEntries) this.#dropOldest();
    if (this.#start > 1024 && this.#start * 2 > this.#entries.length) this.#compact();
  }

  #dropOldest(): void {
    const entry = this.#entries[this.#start];
    if (!entry) return;
    // The array place stays until the next #compact(); the bytes are released now.
    this.#entries[this.#start] = undefined;
    this.#start += 1;
    this.#bytes -= entry.bytes.length;
    this.#lastDropped = entry.seq;
    this.#onDropped(entry.bytes);
  }

  /** Removes the places of dropped entries, but rarely: copying the array on each drop would be slow. */
  #compact(): void {
    this.#entries = this.#entries.slice(this.#start);
    this.#start = 0;
  }

  /** True if every event after `seq` is still here. */
  reaches(seq: number): boolean {
    return seq >= this.#lastDropped;
  }

  /** The events after `seq`, oldest first. */
  *after(seq: number): Generator<BufferedEvent> {
    for (let i = this.#firstAfter(seq); i < this.#entries.length; i++) yield this.#entries[i] as BufferedEvent;
  }

  #firstAfter(seq: number): number {
    let low = this.#start;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as BufferedEvent).seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
