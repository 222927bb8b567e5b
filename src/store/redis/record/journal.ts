/**
 * Appends batches to the journals of sites, on a separate connection: waiting for replicas does not delay reads, and
 * reads do not delay appends.
 */
import type { Argument, Redis } from '../../../redis/connection.ts';
import { commonKey } from '../../../redis/keys.ts';
import { StoreError } from '../../contract.ts';
import { type SiteBatch, splitBatch } from '../../record/split.ts';
import { SITES, SiteKeys } from './keys.ts';
import { partsOf } from './record-site.ts';
import type { RedisQuota } from './redis-quota.ts';

/** An append without an answer after this time has failed, milliseconds. */
const LIMIT_MS = 4000;
/** How long to wait for the replicas, milliseconds. */
const REPLICA_MS = 2000;
/** How often a site is noted as recorded again, milliseconds. */
const NOTE_MS = 5000;
/** Maximum number of elements (times and batches) per command. */
const MAX_ELEMENTS = 256;
/** Written to test whether there is room. */
const SCRATCH = commonKey('room');

export class RedisJournal {
  readonly #redis: Redis;
  readonly #quota: RedisQuota;
  readonly #replicas: number;
  #connecting: Promise<Redis> | undefined;
  /** When each site was last noted. */
  readonly #noted = new Map<string, number>();
  #lastT = 0;

  constructor(redis: Redis, quota: RedisQuota, replicas: number) {
    this.#redis = redis;
    this.#quota = quota;
    this.#replicas = replicas;
  }

  /** Implements `Archive.append`. Returns the sites that were appended to. Throws RedisError and StoreError. */
  async append(batches: readonly Uint8Array[]): Promise<Set<string>> {
    const redis = await this.#ownConnection();
    const bytes = batches.reduce((sum, { length }) => sum + length, 0);
    await this.#quota.check(bytes, redis);
    const parts = batches.flatMap(splitBatch);
    const sites = new Set(parts.map(({ site }) => site));
    const sent: Promise<unknown>[] = [];
    const written: string[] = [];
    const write = (key: string, ...command: Argument[]) => {
      written.push(key);
      sent.push(redis.send(key, ...command));
    };
    const unnoted = [...sites].filter((site) => this.#isToNote(site));
    if (unnoted.length > 0) write(SITES, 'SADD', SITES, ...unnoted);
    for (const [key, elements] of this.#journals(parts))
      for (const some of partsOf(elements, MAX_ELEMENTS)) write(key, 'RPUSH', key, ...some);
    if (parts.length === 0) write(SCRATCH, 'SET', SCRATCH, '1', 'PX', '1000');
    // Checked together with the writes, so that nothing is acked that went into another store. In a cluster the node
    // that is asked may be away; there, a check each second must do.
    if (!redis.isCluster) sent.push(redis.verify());
    // Sent after the writes, on the same connections: the replicas must have those. One WAIT covers everything that its
    // node was sent.
    if (this.#replicas > 0) sent.push(...redis.oneOfEachNode(written).map((key) => this.#replicated(redis, key)));
    await Promise.all(sent);
    for (const site of unnoted) this.#noted.set(site, performance.now());
    return sites;
  }

  /** Returns the new elements of each journal. */
  #journals(parts: readonly SiteBatch[]): Map<string, Argument[]> {
    this.#lastT = Math.max(this.#lastT, Date.now());
    const journals = new Map<string, Argument[]>();
    for (const { site, shard, bytes } of parts) {
      const key = new SiteKeys(site).journals[shard] as string;
      const elements = journals.get(key) ?? [];
      elements.push(String(this.#lastT), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
      journals.set(key, elements);
    }
    return journals;
  }

  #isToNote(site: string): boolean {
    return performance.now() - (this.#noted.get(site) ?? Number.NEGATIVE_INFINITY) >= NOTE_MS;
  }

  async #replicated(redis: Redis, key: string): Promise<void> {
    const have = await redis.sendThere<number>(key, 'WAIT', String(this.#replicas), String(REPLICA_MS));
    if (have < this.#replicas)
      throw new StoreError(
        'unreachable',
        `only ${have} of ${this.#replicas} Redis replicas have the frames (--redis-replicas)`,
      );
  }

  #ownConnection(): Promise<Redis> {
    this.#connecting ??= this.#redis.another({ limitMs: LIMIT_MS, connectMs: LIMIT_MS }).catch((error) => {
      this.#connecting = undefined;
      throw error;
    });
    return this.#connecting;
  }

  async close(): Promise<void> {
    const redis = await this.#connecting?.catch(() => undefined);
    await redis?.close();
  }
}
