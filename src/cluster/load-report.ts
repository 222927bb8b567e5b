/** The load of a process, reported at intervals. */
import { readFileSync } from 'node:fs';
import { LoopDelay } from '../lib/loop-delay.ts';

export interface LoadReport {
  /** Private memory, bytes. */
  memory: number;
  /** The longest delay of the event loop since the last heartbeat, milliseconds. */
  delayMs: number;
}

export class LoadReporter {
  readonly #delay = new LoopDelay();
  #memory = 0;

  report(): LoadReport {
    // Without a free descriptor the memory cannot be read. A heartbeat matters more than that figure.
    this.#memory = ownMemory() ?? this.#memory;
    return { memory: this.#memory, delayMs: Math.round(this.#delay.longestMs()) };
  }
}

/**
 * Private memory in bytes. Linux counts pages of the store's file as memory of the process that has read them, but
 * takes them back when it needs memory; they are not counted here. Undefined: it cannot be read now.
 */
function ownMemory(): number | undefined {
  try {
    const kilobytes = /^RssAnon:\s+(\d+) kB/m.exec(statusText())?.[1];
    return kilobytes === undefined ? process.memoryUsage.rss() : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

/** Empty on systems without this file. */
function statusText(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1');
  } catch {
    return '';
  }
}
