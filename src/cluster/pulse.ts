/** How a process does, told once in a while. */
import { readFileSync } from 'node:fs';
import { LoopDelay } from '../loop-delay.ts';

export interface Beat {
  /** Bytes that are this process's own. */
  memory: number;
  /** The longest delay of the event loop since the last beat, milliseconds. */
  delayMs: number;
}

export class Pulse {
  readonly #delay = new LoopDelay();

  beat(): Beat {
    return { memory: ownMemory(), delayMs: Math.round(this.#delay.longestMs()) };
  }
}

/**
 * Pages of the store's file, which Linux counts with a process that has read them, are not its own: they are given back when
 * somebody needs the room.
 */
function ownMemory(): number {
  const kilobytes = /^RssAnon:\s+(\d+) kB/m.exec(statusText())?.[1];
  return kilobytes === undefined ? process.memoryUsage.rss() : Number(kilobytes) * 1024;
}

/** Empty where there is no such file. */
function statusText(): string {
  try {
    return readFileSync('/proc/self/status', 'latin1');
  } catch {
    return '';
  }
}
