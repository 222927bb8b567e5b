/** Which other machines there are, and what they want. A machine that has been silent for long is no more. */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Channel } from '../protocol/channel.ts';
import type { NodeItem } from '../protocol/peer.ts';

/** A machine that has said nothing for so long is no more, milliseconds. It says something every two seconds. */
export const SILENCE_MS = 6000;
/** Between two reads no more silence than this counts, milliseconds: while Redis was away nobody could be heard. */
const MAX_AT_ONCE_MS = 300;

interface Member {
  silentMs: number;
  watches: readonly Channel[];
}

export class Membership {
  readonly #machines = new Map<string, Member>();
  #readAt = performance.now();

  get names(): Iterable<string> {
    return this.#machines.keys();
  }

  get size(): number {
    return this.#machines.size;
  }

  /** A machine has said something. True if it was not known. */
  heard(machine: string): boolean {
    const isNew = !this.#machines.has(machine);
    getOrInsert(this.#machines, machine, (): Member => ({ silentMs: 0, watches: [] })).silentMs = 0;
    return isNew;
  }

  /** Takes what a machine's streams show. True if that is other than before. */
  watches(machine: string, { watches }: Extract<NodeItem, { k: 'alive' }>): boolean {
    const known = this.#machines.get(machine);
    if (!known || JSON.stringify(known.watches) === JSON.stringify(watches)) return false;
    known.watches = watches;
    return true;
  }

  /** All that streams of other machines show. */
  channels(): Channel[] {
    return [...this.#machines.values()].flatMap(({ watches }) => watches);
  }

  remove(machine: string): boolean {
    return this.#machines.delete(machine);
  }

  /** Silence can be told now: all has been read. Gives those who have been silent for too long. */
  listen(): string[] {
    const now = performance.now();
    const ms = Math.min(MAX_AT_ONCE_MS, now - this.#readAt);
    this.#readAt = now;
    for (const machine of this.#machines.values()) machine.silentMs += ms;
    return [...this.#machines].filter(([, { silentMs }]) => silentMs > SILENCE_MS).map(([name]) => name);
  }
}
