/**
 * Compaction of the journal: moves frames to their visits, shard by shard, and adds them to counts and heatmaps. It
 * does both in one transaction, so the counts always match the stored frames.
 */
import { type KnownPlaces, readBatch } from '../record/batch.ts';
import { type Arrived, arrivals, Compactor, isReadableBatch } from '../record/compaction.ts';
import { DamageLog, warnOfLeftOut } from '../record/damage.ts';
import { Sums } from '../record/sums.ts';
import type { PageNumberTable } from './page-table.ts';
import type { Sorting } from './sorting.ts';
import { putSums } from './sum-tables.ts';
import { type JournalKey, LAST, type Tables, type VisitEntry } from './tables.ts';
import type { VisitTable } from './visit-table.ts';

/**
 * How much of the journal one write compacts, bytes. It takes some hundredths of a second, during which nobody else can
 * write. Under load it is some seconds of a shard's visits. With half as much, each visit is updated twice as often,
 * and compaction costs a seventh more.
 */
export const MAX_COMPACTED = 1024 * 1024;

export class LmdbCompaction {
  readonly #tables: Tables;
  readonly #pages: PageNumberTable;
  readonly #compactor: Compactor<VisitEntry>;
  readonly #path: string;
  readonly #maxCompacted: number;
  readonly #sorting: Sorting;
  /** True if the last write rewrote a piece of a visit: rewriting and compaction alternate. */
  #isSorting = false;

  /** `path`: path of the store's file. `maxCompacted`: how much of the journal one write compacts, bytes. */
  constructor(
    tables: Tables,
    pages: PageNumberTable,
    visitTable: VisitTable,
    sorting: Sorting,
    path: string,
    maxVisitBytes?: number,
    maxCompacted = MAX_COMPACTED,
  ) {
    this.#path = path;
    this.#maxCompacted = maxCompacted;
    this.#sorting = sorting;
    this.#tables = tables;
    this.#pages = pages;
    this.#compactor = new Compactor(visitTable, pages, maxVisitBytes);
  }

  /**
   * Within a write: compacts shards, one after the other, up to the limit of one write. They are compacted together,
   * because each page's tiles then change only once. If a visit is being rewritten (sorting.ts), every other write
   * rewrites a piece of it instead, and its shard waits. Returns how many bytes were compacted; 0 if there was nothing
   * to do.
   */
  compact(shards: readonly number[]): number {
    const blocked = shards.filter((shard) => this.#sorting.next(shard) !== undefined);
    const free = shards.filter((shard) => !blocked.includes(shard));
    this.#isSorting = blocked.length > 0 && !this.#isSorting;
    return (this.#isSorting ? 0 : this.#compactShards(free)) || this.#sort(blocked);
  }

  #sort([shard]: readonly number[]): number {
    const number = shard === undefined ? undefined : this.#sorting.next(shard);
    if (shard === undefined || number === undefined) return 0;
    this.#sorting.step(shard, number);
    return 1;
  }

  #compactShards(shards: readonly number[]): number {
    const sums = new Sums();
    const damage = new DamageLog();
    let bytes = 0;
    this.#compactor.start(damage);
    for (const shard of shards) {
      if (bytes >= this.#maxCompacted) break;
      bytes += this.#compactShard(shard, this.#maxCompacted - bytes, sums);
    }
    putSums(this.#tables, sums, this.#pages);
    warnOfLeftOut(damage, this.#path);
    return bytes;
  }

  #compactShard(shard: number, max: number, sums: Sums): number {
    const visits = new Map<string, Arrived>();
    const { keys, bytes } = this.#read(shard, max, visits);
    for (const [id, arrived] of visits) this.#compactor.compact(id, arrived, sums);
    for (const key of keys) this.#tables.journal.removeSync(key);
    return bytes;
  }

  #read(shard: number, max: number, visits: Map<string, Arrived>): { keys: JournalKey[]; bytes: number } {
    const keys: JournalKey[] = [];
    let bytes = 0;
    const known: KnownPlaces = new Map();
    const listener = arrivals(visits);
    for (const { key, value } of this.#waiting(shard, max)) {
      keys.push(key);
      bytes += value.length;
      readBatch(value, listener, known);
    }
    return { keys, bytes };
  }

  /**
   * Within a write: moves the unreadable batches among those that `compact` would read from these shards to the table
   * `damaged`. Returns how many.
   */
  quarantine(shards: readonly number[]): number {
    const { journal, damaged } = this.#tables;
    const unreadable: [JournalKey, Buffer][] = [];
    let bytes = 0;
    for (const shard of shards)
      for (const { key, value } of this.#waiting(shard, this.#maxCompacted - bytes)) {
        bytes += value.length;
        if (!isReadableBatch(value)) unreadable.push([key, value]);
      }
    for (const [key, value] of unreadable) {
      damaged.putSync(key, value);
      journal.removeSync(key);
    }
    return unreadable.length;
  }

  /** Yields the oldest batches of a shard, until they reach `max` bytes. */
  *#waiting(shard: number, max: number): Generator<{ key: JournalKey; value: Buffer }> {
    let bytes = 0;
    for (const batch of this.#tables.journal.getRange({ start: [shard, 0, 0, 0], end: [shard, LAST, 0, 0] })) {
      if (bytes >= max) return;
      bytes += batch.value.length;
      yield batch;
    }
  }
}
