/** How a process does, told once in a while. */
import { readFileSync } from 'node:fs';
import { LoopDelay } from '../lib/loop-delay.ts';

export interface LoadReport {
  /** Bytes that are this process's own. */
  memory: number;
  /** The longest delay of the event loop since the last beat, milliseconds. */
  delayMs: number;
}

export class LoadReporter {
  readonly #delay = new LoopDelay();
  #memory = 0;

  report(): LoadReport {
    // Without a free descriptor the memory cannot be read, and a beat is worth more than its figure.
    this.#memory = ownMemory() ?? this.#memory;
    return { memory: this.#memory, delayMs: Math.round(this.#delay.longestMs()) };
  }
}

/**
 * Bytes. Linux counts pages of the store's file with the process that has read them, but takes them back when it needs
 * the room; they are not counted here. Undefined: it cannot be read now.
 */
function ownMemory(): number | undefined {
  try {
    const kilobytes = /^RssAnon:\s+(\d+) kB/m.exec(statusText())?.[1];
    return kilobytes === undefined ? process.memoryUsage.rss() : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

/** Empty where there is no such file. */
function statusText(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1');
  } catch {
    return '';
  }
}
