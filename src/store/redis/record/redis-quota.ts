/** Whether there is room for more: under the cap, and in Redis' memory. */
import type { Redis } from '../../../redis/connection.ts';
import { StoreError } from '../../contract.ts';

/** A figure of its size that is older than this is asked for anew, milliseconds. */
const SIZE_AGE_MS = 250;
/** One that is older than this is waited for: where Redis is far away, an ack would else take a round trip more. */
const MAX_AGE_MS = 2000;

/** Above this share of the cap a figure is waited for. Visits are removed from 0.8 on. */
const NEAR_CAP = 0.9;

export class RedisQuota {
  readonly #redis: Redis;
  readonly #maxBytes: number;
  #size = { at: Number.NEGATIVE_INFINITY, used: 0 };
  #asking: Promise<void> | undefined;
  /** Bytes that came since the figure was asked for: it may be without them. */
  #since = 0;

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
    const age = performance.now() - this.#size.at;
    if (age > SIZE_AGE_MS) {
      this.#asking ??= this.#ask(redis).finally(() => {
        this.#asking = undefined;
      });
      // One that is not waited for is asked for again with what comes next.
      if (age > MAX_AGE_MS || this.#isNearCap(bytes)) await this.#asking;
      else this.#asking.catch(() => {});
    }
    this.#size.used += bytes;
    this.#since += bytes;
    if (this.#size.used > this.#maxBytes)
      throw new StoreError('full', `the store has reached its cap of ${this.#maxBytes} bytes (--max-store)`);
  }

  /** An old figure has to do only where there is room for much more than it says. */
  #isNearCap(bytes: number): boolean {
    return this.#size.used + bytes > NEAR_CAP * this.#maxBytes;
  }

  async #ask(redis: Redis): Promise<void> {
    this.#since = 0;
    const used = await this.#usedNow(redis, performance.now());
    this.#size = { at: performance.now(), used: used + this.#since };
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
