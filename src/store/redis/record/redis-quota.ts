/** Tells whether there is room for more data: under the cap, and in Redis' memory. */
import type { Redis } from '../../../redis/connection.ts';
import { StoreError } from '../../contract.ts';

/** The size is asked for again when it is older than this, milliseconds. */
const SIZE_AGE_MS = 250;
/** A size older than this is waited for. Otherwise, if Redis is far away, each ack would take a round trip more. */
const MAX_AGE_MS = 2000;

/** Above this share of the cap the size is always waited for. Visits are removed from 0.8 on. */
const NEAR_CAP = 0.9;

export class RedisQuota {
  readonly #redis: Redis;
  readonly #maxBytes: number;
  #size = { at: Number.NEGATIVE_INFINITY, used: 0 };
  #asking: Promise<void> | undefined;
  /** Bytes appended since the size was asked for: it may not include them. */
  #since = 0;

  constructor(redis: Redis, maxBytes: number) {
    this.#redis = redis;
    this.#maxBytes = maxBytes;
  }

  /** Returns the bytes that Redis uses, on all of its nodes. */
  async used(redis = this.#redis): Promise<number> {
    return (await infosOf(redis)).reduce((sum, info) => sum + usedOf(info), 0);
  }

  /**
   * Returns the keys that are on a node which uses more than this share of its maxmemory. `isWhole`: all nodes answer;
   * they are fewer than the keys.
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

  /** Throws StoreError `full` if this many more bytes may not be stored. Asks on the given connection. */
  async check(bytes: number, redis: Redis): Promise<void> {
    if (this.#maxBytes === Number.POSITIVE_INFINITY) return;
    const age = performance.now() - this.#size.at;
    if (age > SIZE_AGE_MS) {
      this.#asking ??= this.#ask(redis).finally(() => {
        this.#asking = undefined;
      });
      // An answer that nobody waits for is asked for again with the next append.
      if (age > MAX_AGE_MS || this.#isNearCap(bytes)) await this.#asking;
      else this.#asking.catch(() => {});
    }
    this.#size.used += bytes;
    this.#since += bytes;
    if (this.#size.used > this.#maxBytes)
      throw new StoreError('full', `the store has reached its cap of ${this.#maxBytes} bytes (--max-store)`);
  }

  /** Returns true near the cap, where an old size is not enough. */
  #isNearCap(bytes: number): boolean {
    return this.#size.used + bytes > NEAR_CAP * this.#maxBytes;
  }

  async #ask(redis: Redis): Promise<void> {
    this.#since = 0;
    const used = await this.#usedNow(redis, performance.now());
    this.#size = { at: performance.now(), used: used + this.#since };
  }

  /**
   * If a node is known to be away, the last size must do: the others still store their part. A node that does not
   * answer is not waited for twice.
   */
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

/** Memory that an empty Redis uses is not counted. */
function usedOf(info: ReadonlyMap<string, number>): number {
  return (info.get('used_memory') ?? 0) - (info.get('used_memory_startup') ?? 0);
}
