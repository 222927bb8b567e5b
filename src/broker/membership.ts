/**
 * The other nodes that are present, and the channels that they watch. A node that has been silent for SILENCE_MS has
 * ended.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Channel } from '../protocol/channel.ts';
import type { NodeItem } from '../protocol/peer.ts';

/** A node that has sent nothing for this long has ended, milliseconds. Nodes send something every two seconds. */
export const SILENCE_MS = 6000;
/** Maximum silence that counts between two reads, milliseconds: while Redis is away no node can be heard. */
const MAX_SILENCE_STEP_MS = 300;

interface Member {
  silentMs: number;
  watches: readonly Channel[];
}

export class Membership {
  readonly #members = new Map<string, Member>();
  #readAt = performance.now();

  get names(): Iterable<string> {
    return this.#members.keys();
  }

  get size(): number {
    return this.#members.size;
  }

  /** Records a sign of life. Returns true if the node is new. */
  heard(node: string): boolean {
    const isNew = !this.#members.has(node);
    getOrInsert(this.#members, node, (): Member => ({ silentMs: 0, watches: [] })).silentMs = 0;
    return isNew;
  }

  /** Sets the channels that a node watches. Returns true if they have changed. */
  watches(node: string, { watches }: Extract<NodeItem, { k: 'alive' }>): boolean {
    const known = this.#members.get(node);
    if (!known || JSON.stringify(known.watches) === JSON.stringify(watches)) return false;
    known.watches = watches;
    return true;
  }

  /** All channels that other nodes watch. */
  channels(): Channel[] {
    return [...this.#members.values()].flatMap(({ watches }) => watches);
  }

  remove(node: string): boolean {
    return this.#members.delete(node);
  }

  /**
   * Call after everything has been read: only then silence can be judged. Returns the nodes that were silent for too
   * long.
   */
  silentNodes(): string[] {
    const now = performance.now();
    const ms = Math.min(MAX_SILENCE_STEP_MS, now - this.#readAt);
    this.#readAt = now;
    for (const node of this.#members.values()) node.silentMs += ms;
    return [...this.#members].filter(([, { silentMs }]) => silentMs > SILENCE_MS).map(([name]) => name);
  }
}
