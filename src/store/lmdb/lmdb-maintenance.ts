/** The record of one machine, as a worker's thread keeps it. */
import type { Durability, Shares } from '../../config/config.ts';
import { StoreError } from '../contract.ts';
import type { Kept } from '../thread/maintenance.ts';
import { openLmdbStore } from './lmdb-store.ts';

export interface FileData {
  folder: string;
  /** Id of the store that the folder is to hold; undefined: whatever it holds is right. */
  id?: string;
  /** The file that the store must be in (`EmbeddedStore.identity`). If undefined, any file will do. */
  identity?: string;
  /** Cap of the store, bytes. */
  maxBytes: number;
  /** Visits with more bytes of runs are thinned. */
  maxVisitBytes?: number;
  /** How long visits are kept, milliseconds. */
  retainMs: number;
  durability: Durability;
  /** Parts of the store that sites may take before others. */
  shares?: Shares;
}

/** What has waited is looked for so often, milliseconds, and some of it filed. */
const COMPACT_MS = 150;
/** Removing goes on for at most so long at once, milliseconds. */
const PRUNE_LIMIT_MS = 300;
/** Visits that are due to go are looked for so often, milliseconds. */
const PRUNE_MS = 500;
const READERS_MS = 60_000;
/** How often to look for counter totals of sites that were removed, milliseconds. */
const LOST_MS = 5000;

export async function maintainFile(
  { folder, id, identity, maxBytes, retainMs, ...options }: FileData,
  onDamage: (error: StoreError) => void,
): Promise<Kept> {
  const create = id === undefined;
  const store = await openLmdbStore(folder, { maxBytes, ...options, create, onDamage, onLeftOut: onDamage });
  // The file may have been changed for another since the worker opened it.
  const isOther = id !== undefined && (await store.id()) !== id;
  if (isOther || (identity !== undefined && store.identity !== identity)) {
    await store.close();
    throw new StoreError('not-a-store', `the store in ${folder} is not the one that the server uses`);
  }
  const { archive } = store;
  const file = () => {
    archive.compactDue(Date.now());
  };
  // A little at a time, until the next time.
  const prune = () => archive.pruneSome(Date.now(), retainMs, PRUNE_LIMIT_MS);
  return {
    archive,
    chores: [
      { everyMs: COMPACT_MS, work: file },
      { everyMs: PRUNE_MS, work: prune },
      { everyMs: READERS_MS, work: () => archive.clearReaders() },
      { everyMs: LOST_MS, work: () => store.clearLostHits() },
    ],
    makeRoom: () => {
      file();
      return prune();
    },
    takeNews: () => archive.takeNews(),
    addHits: (take) => store.addHits(take),
    close: () => store.close(),
  };
}
