/** Limits how many streams may be open, in total and per holder, and how many bytes of snapshots one holder may get. */

/**
 * Bytes of snapshots that a holder may get at once, and per second after that. A snapshot of 20,000 visitors has about
 * 4 MB.
 */
const BURST_BYTES = 64 * 1024 * 1024;
const BYTES_PER_SECOND = 4 * 1024 * 1024;

export interface StreamLimits {
  maxStreams: number;
  /** Per account, token or address. */
  maxStreamsEach: number;
}

/** Why a stream is refused, and after how many seconds the client may try again. */
export interface StreamRefusal {
  status: 429 | 503;
  retryAfter: number;
  detail: string;
}

interface Holder {
  open: number;
  /** Bytes of snapshots that still count against the budget, as of `at`, ms. */
  debt: number;
  at: number;
}

export class StreamQuota {
  readonly #limits: StreamLimits;
  readonly #holders = new Map<string, Holder>();
  #open = 0;

  constructor(limits: StreamLimits) {
    this.#limits = limits;
  }

  /** Counts a stream until `leave`, or returns why it is refused. `now` is in ms. */
  enter(names: readonly string[], now: number): StreamRefusal | undefined {
    if (this.#open >= this.#limits.maxStreams)
      return { status: 503, retryAfter: 5, detail: 'The server has reached its limit of open streams.' };
    for (const name of names) {
      const holder = this.#holders.get(name);
      if (holder === undefined) continue;
      if (holder.open >= this.#limits.maxStreamsEach)
        return { status: 429, retryAfter: 5, detail: 'This account, token or address has too many streams open.' };
      const excess = debtOf(holder, now) - BURST_BYTES;
      if (excess > 0)
        return {
          status: 429,
          retryAfter: Math.ceil(excess / BYTES_PER_SECOND),
          detail: 'This account, token or address has opened too many streams recently.',
        };
    }
    this.#open += 1;
    for (const name of names) this.#holder(name, now).open += 1;
    return undefined;
  }

  leave(names: readonly string[]): void {
    this.#open -= 1;
    for (const name of names) {
      const holder = this.#holders.get(name);
      if (holder) holder.open -= 1;
    }
  }

  /** Records the bytes of a snapshot. Returns false if a holder is over its budget. */
  spend(names: readonly string[], bytes: number, now: number): boolean {
    let isWithin = true;
    for (const name of names) {
      const holder = this.#holder(name, now);
      holder.debt = debtOf(holder, now) + bytes;
      holder.at = now;
      if (holder.debt > BURST_BYTES) isWithin = false;
    }
    return isWithin;
  }

  /** Forgets holders without open streams and with a full budget. */
  sweep(now: number): void {
    for (const [name, holder] of this.#holders)
      if (holder.open <= 0 && debtOf(holder, now) === 0) this.#holders.delete(name);
  }

  #holder(name: string, now: number): Holder {
    const known = this.#holders.get(name) ?? { open: 0, debt: 0, at: now };
    this.#holders.set(name, known);
    return known;
  }
}

function debtOf({ debt, at }: Holder, now: number): number {
  return Math.max(0, debt - (Math.max(0, now - at) * BYTES_PER_SECOND) / 1000);
}
