/** How many streams may be open, in all and of one holder, and how much one holder may have told anew. */

/** Bytes of snapshots that a holder may have at once, and a second after that. One of 20,000 visitors is about 4 MB. */
const BURST = 64 * 1024 * 1024;
const RATE = 4 * 1024 * 1024;

export interface StreamLimits {
  most: number;
  /** Of one account, one token, or one address. */
  mostEach: number;
}

/** Why a stream is refused, and after how many seconds another may be let in. */
export interface StreamRefusal {
  status: 429 | 503;
  retryAfter: number;
  detail: string;
}

interface Holder {
  open: number;
  /** Bytes of snapshots that are not forgiven yet, as of `at`, ms. */
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

  /** Counts a stream until `leave`, or tells why it is refused. `now` is in ms. */
  enter(names: readonly string[], now: number): StreamRefusal | undefined {
    if (this.#open >= this.#limits.most)
      return { status: 503, retryAfter: 5, detail: 'The server has reached its limit of open streams.' };
    for (const name of names) {
      const holder = this.#holders.get(name);
      if (holder === undefined) continue;
      if (holder.open >= this.#limits.mostEach)
        return { status: 429, retryAfter: 5, detail: 'This account, token or address has too many streams open.' };
      const over = debtOf(holder, now) - BURST;
      if (over > 0)
        return {
          status: 429,
          retryAfter: Math.ceil(over / RATE),
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

  /** Notes bytes of a snapshot that a holder asked for. False if it has had too many. */
  spend(names: readonly string[], bytes: number, now: number): boolean {
    let isWithin = true;
    for (const name of names) {
      const holder = this.#holder(name, now);
      holder.debt = debtOf(holder, now) + bytes;
      holder.at = now;
      if (holder.debt > BURST) isWithin = false;
    }
    return isWithin;
  }

  /** Forgets who has no stream open and nothing to be forgiven. */
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
  return Math.max(0, debt - (Math.max(0, now - at) * RATE) / 1000);
}
