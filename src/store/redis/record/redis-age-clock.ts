/** The store's clock in Redis, which all nodes share. */
import type { Redis } from '../../../redis/connection.ts';
import { commonKey } from '../../../redis/keys.ts';
import { ageTime, followClock, SAVE_INTERVAL_MS } from '../../record/age-clock.ts';
import type { RecordSites } from './record-sites.ts';
import { visitOf } from './visit-time.ts';

/** The store's time, by which the age of visits is measured. */
const CLOCK = commonKey('age-clock');
/** Exists for SAVE_INTERVAL_MS after the store's time was saved. */
const TICK = commonKey('age-tick');

export class RedisAgeClock {
  readonly #redis: Redis;
  readonly #sites: RecordSites;

  constructor(redis: Redis, sites: RecordSites) {
    this.#redis = redis;
    this.#sites = sites;
  }

  /**
   * Returns the time by which the age of visits is measured (store/record/age-clock.ts). The only clock that nodes
   * share is that of Redis, which may be set as well. So one of the nodes advances the store's time, once in
   * SAVE_INTERVAL_MS as measured by an expiring key. While the cluster node with the store's time is unreachable, the
   * system's clock counts.
   */
  async now(wall: number): Promise<number> {
    return (await this.#sites.soon(this.#storedTime(wall))) ?? wall;
  }

  async #storedTime(wall: number): Promise<number> {
    const isDue = await this.#redis.commit(TICK, '0', [['PEXPIRE', TICK, String(SAVE_INTERVAL_MS)]], true);
    const text = await this.#redis.send<string | null>(CLOCK, 'GET', CLOCK);
    const kept = text === null ? Math.min(wall, await this.#newest(wall)) : Number(text);
    const now = text === null || !isDue ? kept : followClock(kept, SAVE_INTERVAL_MS, wall);
    if (isDue || text === null) await this.#redis.commit(`${CLOCK}:version`, null, [['SET', CLOCK, String(now)]], true);
    return ageTime(now, SAVE_INTERVAL_MS, wall);
  }

  /** Returns the start of the newest visit, or `preset` without visits. */
  async #newest(preset: number): Promise<number> {
    const sites = await this.#sites.all();
    const lasts = await Promise.all(sites.map((site) => site.send<string[]>('ZRANGE', site.keys.byTime, '-1', '-1')));
    const begins = lasts.flat().map((member) => visitOf(member)[0]);
    return begins.length > 0 ? Math.max(...begins) : preset;
  }
}
