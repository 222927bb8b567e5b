/** Skips stream entries that this node cannot read, and logs why. */
import type { Logger } from '../log/logger.ts';
import { formatOf, PEER_FORMAT } from '../protocol/peer.ts';
import { NODE_IDS } from './node-id.ts';
import type { StreamCursor, StreamEntry } from './stream-reader.ts';

export class EntryGuard {
  readonly #log: Logger;
  /** Nodes with another format that were already logged. */
  readonly #foreign = new Set<string>();
  /** An unreadable entry was logged; only the first one is. */
  #hasComplained = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Wraps a handler of entries. The handler gets those in the format of this node. What it throws is logged, so no
   * content of a stream stops the reader or this process.
   */
  wrap(take: StreamCursor['take']): StreamCursor['take'] {
    return (entries) => {
      try {
        return take(entries.filter((entry) => this.#isReadable(entry)));
      } catch (error) {
        if (!this.#hasComplained) this.#log.error({ err: error }, 'data from another server cannot be read');
        this.#hasComplained = true;
        return true;
      }
    };
  }

  #isReadable(entry: StreamEntry): boolean {
    const [node = ''] = entry;
    const format = formatOf(entry);
    if (format !== PEER_FORMAT) this.#noteForeign(node, format);
    return format === PEER_FORMAT;
  }

  /** Logs each node once; after NODE_IDS nodes, some may be logged again. */
  #noteForeign(node: string, format: string): void {
    if (this.#foreign.has(node)) return;
    if (this.#foreign.size >= NODE_IDS) this.#foreign.clear();
    this.#foreign.add(node);
    const text = 'another server runs a different version of Fieldmouse: the two do not show visitors of each other';
    this.#log.warn({ machine: node, format, own: PEER_FORMAT }, text);
  }
}
