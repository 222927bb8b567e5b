/**
 * Files what the journal holds: takes frames out of it, shard by shard, and puts them with their visits, with what they add to counts
 * and heatmaps. That is one transaction, so that the counts are at all times those of the frames.
 */
import { type KnownPlaces, readBatch } from '../record/batch.ts';
import { type Arrived, arrivals, Compactor, isReadable } from '../record/compaction.ts';
import { DamageLog, warnOfLeftOut } from '../record/damage.ts';
import { Sums } from '../record/sums.ts';
import type { PageTable } from './page-table.ts';
import type { Sorting } from './sorting.ts';
import { putSums } from './sum-tables.ts';
import { type JournalKey, LAST, type Tables, type VisitRow } from './tables.ts';
import type { VisitTable } from './visit-table.ts';

/**
 * So much of the journal is filed at once, bytes: some hundredths of a second's work, while nobody else can write. Under load it is some
 * seconds of a shard's visits; with half as much each visit is taken up twice as often, and filing costs a seventh more.
 */
export const MAX_COMPACTED = 1024 * 1024;

export class LmdbCompaction {
  readonly #tables: Tables;
  readonly #pages: PageTable;
  readonly #compactor: Compactor<VisitRow>;
  readonly #path: string;
  readonly #maxCompacted: number;
  readonly #sorting: Sorting;
  /** True if the last write rewrote a piece of a visit: rewriting and filing take turns. */
  #isSorting = false;

  /** `path`: of the store's file; `maxFiled`: bytes of the journal that one write files. */
  constructor(
    tables: Tables,
    pages: PageTable,
    visitTable: VisitTable,
    sorting: Sorting,
    path: string,
    maxVisitBytes?: number,
    maxFiled = MAX_COMPACTED,
  ) {
    this.#path = path;
    this.#maxCompacted = maxFiled;
    this.#sorting = sorting;
    this.#tables = tables;
    this.#pages = pages;
    this.#compactor = new Compactor(visitTable, pages, maxVisitBytes);
  }

  /**
   * Within a write: files what shards hold, one after the other, as much as one write may. They are filed together,
   * since each page's tiles then change once. If a visit is being rewritten (sorting.ts), every other write rewrites
   * a piece of it instead, and its shard waits. Returns how many bytes were filed; 0 if there was nothing to do.
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
    this.#compactor.begin(damage);
    for (const shard of shards) {
      if (bytes >= this.#maxCompacted) break;
      bytes += this.#compactShard(shard, this.#maxCompacted - bytes, sums);
    }
    putSums(this.#tables, sums, this.#pages);
    warnOfLeftOut(damage, this.#path);
    return bytes;
  }

  #compactShard(shard: number, most: number, sums: Sums): number {
    const visits = new Map<string, Arrived>();
    const { keys, bytes } = this.#read(shard, most, visits);
    for (const [id, arrived] of visits) this.#compactor.compact(id, arrived, sums);
    for (const key of keys) this.#tables.journal.removeSync(key);
    return bytes;
  }

  #read(shard: number, most: number, visits: Map<string, Arrived>): { keys: JournalKey[]; bytes: number } {
    const keys: JournalKey[] = [];
    let bytes = 0;
    const known: KnownPlaces = new Map();
    const listener = arrivals(visits);
    for (const { key, value } of this.#waiting(shard, most)) {
      keys.push(key);
      bytes += value.length;
      readBatch(value, listener, known);
    }
    return { keys, bytes };
  }

  /**
   * Within a write: puts those batches aside that cannot be read, among the ones that `file` would take out of these
   * shards. Returns how many.
   */
  quarantine(shards: readonly number[]): number {
    const { journal, damaged } = this.#tables;
    const aside: [JournalKey, Buffer][] = [];
    let bytes = 0;
    for (const shard of shards)
      for (const { key, value } of this.#waiting(shard, this.#maxCompacted - bytes)) {
        bytes += value.length;
        if (!isReadable(value)) aside.push([key, value]);
      }
    for (const [key, value] of aside) {
      damaged.putSync(key, value);
      journal.removeSync(key);
    }
    return aside.length;
  }

  /** The oldest batches of a shard: as many as reach `most` bytes. */
  *#waiting(shard: number, most: number): Generator<{ key: JournalKey; value: Buffer }> {
    let bytes = 0;
    for (const batch of this.#tables.journal.getRange({ start: [shard, 0, 0, 0], end: [shard, LAST, 0, 0] })) {
      if (bytes >= most) return;
      bytes += batch.value.length;
      yield batch;
    }
  }
}
