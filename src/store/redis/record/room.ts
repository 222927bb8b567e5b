/** Whether there is room for more: under the cap, and in Redis' memory. */
import type { Redis } from '../../../redis/connection.ts';
import { StoreError } from '../../contract.ts';

/** How old a figure of its size may be, milliseconds. */
const SIZE_AGE_MS = 250;
export class Room {
  readonly #redis: Redis;
  readonly #maxBytes: number;
  #size = { at: Number.NEGATIVE_INFINITY, used: 0 };

  constructor(redis: Redis, maxBytes: number) {
    this.#redis = redis;
    this.#maxBytes = maxBytes;
  }

  /** Bytes of all that Redis holds, on all of its nodes. */
  async used(): Promise<number> {
    return (await this.#infos()).reduce((sum, info) => sum + usedOf(info), 0);
  }

  /** Bytes that may be in use: the cap, or what Redis is given (maxmemory) if that is less. */
  async most(): Promise<number> {
    const given = (await this.#infos()).map((info) => info.get('maxmemory') ?? 0);
    return given.includes(0)
      ? this.#maxBytes
      : Math.min(
          this.#maxBytes,
          given.reduce((sum, n) => sum + n, 0),
        );
  }

  async #infos(): Promise<Map<string, number>[]> {
    return (await this.#redis.everywhere<string>('INFO', 'memory')).map(readInfo);
  }

  /** Throws StoreError `full` if so many bytes more may not be stored. */
  async check(bytes: number): Promise<void> {
    if (this.#maxBytes === Number.POSITIVE_INFINITY) return;
    const now = performance.now();
    if (now - this.#size.at > SIZE_AGE_MS) this.#size = { at: now, used: await this.used() };
    this.#size.used += bytes;
    if (this.#size.used > this.#maxBytes)
      throw new StoreError('full', `the store has reached its cap of ${this.#maxBytes} bytes (--max-store)`);
  }
}

function readInfo(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^(\w+):(\d+)\r?$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}

/** What Redis takes when it is empty is not counted. */
function usedOf(info: ReadonlyMap<string, number>): number {
  return (info.get('used_memory') ?? 0) - (info.get('used_memory_startup') ?? 0);
}
