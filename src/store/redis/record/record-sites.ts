/** The sites in Redis. In a cluster, each may be on another node, and some nodes may not answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '../../../redis/connection.ts';
import { RedisError } from '../../../redis/error.ts';
import { StoreError } from '../../contract.ts';
import { SITES } from './keys.ts';
import { RecordSite } from './record-site.ts';

/** Sites that are read or changed at once. With a distant Redis, one after the other would take too long. */
export const SITES_AT_ONCE = 8;
/** A node of a Redis cluster that does not answer in this time is skipped if the others suffice, milliseconds. */
const SOON_MS = 1000;

export class RecordSites {
  readonly #redis: Redis;
  /** Names of all sites when they were last read. */
  #known: readonly string[] = [];

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  site(name: string): RecordSite {
    return new RecordSite(this.#redis, name);
  }

  /** Returns all sites that have, or had, data. */
  async all(): Promise<RecordSite[]> {
    const names = await this.#redis.send<string[]>(SITES, 'SMEMBERS', SITES);
    this.#known = names.sort();
    return names.map((name) => this.site(name));
  }

  /** Like `all`. If the cluster node with the names does not answer, returns the sites that were last read. */
  async known(): Promise<RecordSite[]> {
    return (await this.soon(this.all())) ?? this.#known.map((name) => this.site(name));
  }

  /**
   * Waits for a reply of Redis. In a cluster, returns undefined if the node is unreachable or does not reply within
   * SOON_MS.
   */
  async soon<T>(asked: Promise<T>): Promise<T | undefined> {
    if (!this.#redis.isCluster) return asked;
    try {
      return await Promise.race([asked, sleep(SOON_MS, undefined, { ref: false })]);
    } catch (error) {
      if (!isOfOneSite(error)) throw error;
      return undefined;
    }
  }

  /** Returns the sites whose cluster node answers. */
  async answering(sites: readonly RecordSite[]): Promise<readonly RecordSite[]> {
    if (!this.#redis.isCluster) return sites;
    const there = new Set<RecordSite>();
    const asked = sites.map((site) =>
      site.send('EXISTS', site.keys.dropped).then(
        () => there.add(site),
        () => {},
      ),
    );
    await this.soon(Promise.all(asked));
    return sites.filter((site) => there.has(site));
  }
}

/** True if the error may concern only one site, or the cluster node that has it. */
export function isOfOneSite(error: unknown): boolean {
  if (error instanceof RedisError) return error.code === 'unreachable';
  return error instanceof StoreError && error.code === 'damaged';
}

/** Maximum wait of a command for other processes that write to the same site, milliseconds. */
export const SITE_PATIENCE_MS = 60_000;

export function busy({ name }: RecordSite): StoreError {
  return new StoreError('busy', `others keep writing to the record of the site ${name}; try again`);
}
