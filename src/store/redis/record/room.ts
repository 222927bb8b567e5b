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
  async used(redis = this.#redis): Promise<number> {
    return (await infosOf(redis)).reduce((sum, info) => sum + usedOf(info), 0);
  }

  /**
   * Those of these keys that are on a node which has more than this share of what it is given (maxmemory). `isWhole`: all nodes answer; they are
   * fewer than keys.
   */
  async crowded(keys: readonly string[], share: number, isWhole: boolean): Promise<Set<string>> {
    const isCrowded = (info: ReadonlyMap<string, number>) => {
      const given = info.get('maxmemory') ?? 0;
      return given > 0 && (info.get('used_memory') ?? 0) > share * given;
    };
    if (isWhole && !(await infosOf(this.#redis)).some(isCrowded)) return new Set();
    const infos = await Promise.all(keys.map((key) => this.#redis.sendThere<string>(key, 'INFO', 'memory')));
    return new Set(keys.filter((_, i) => isCrowded(readInfo(infos[i] as string))));
  }

  /** Throws StoreError `full` if so many bytes more may not be stored. Asks on the connection given. */
  async check(bytes: number, redis: Redis): Promise<void> {
    if (this.#maxBytes === Number.POSITIVE_INFINITY) return;
    const now = performance.now();
    if (now - this.#size.at > SIZE_AGE_MS) this.#size = { at: now, used: await this.#usedNow(redis, now) };
    this.#size.used += bytes;
    if (this.#size.used > this.#maxBytes)
      throw new StoreError('full', `the store has reached its cap of ${this.#maxBytes} bytes (--max-store)`);
  }

  /** Where a node is known to be away, the last figure has to do: others take what is theirs. One that holds still is not waited for twice. */
  async #usedNow(redis: Redis, since: number): Promise<number> {
    try {
      return await this.used(redis);
    } catch (error) {
      if (performance.now() - since > SIZE_AGE_MS) throw error;
      return this.#size.used;
    }
  }
}

async function infosOf(redis: Redis): Promise<Map<string, number>[]> {
  return (await redis.everywhere<string>('INFO', 'memory')).map(readInfo);
}

function readInfo(text: string): Map<string, number> {
  return new Map([...text.matchAll(/^(\w+):(\d+)\r?$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}

/** What Redis takes when it is empty is not counted. */
function usedOf(info: ReadonlyMap<string, number>): number {
  return (info.get('used_memory') ?? 0) - (info.get('used_memory_startup') ?? 0);
}
