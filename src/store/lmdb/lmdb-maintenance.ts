/** Opens the LMDB store in the thread of a worker, and maintains its record. */
import type { Durability, Shares } from '../../config/config.ts';
import { StoreError } from '../contract.ts';
import type { MaintainedArchive } from '../thread/maintenance.ts';
import { openLmdbStore } from './lmdb-store.ts';

export interface FileData {
  folder: string;
  /** Id that the store in the folder must have. If undefined, any store will do. */
  id?: string;
  /** The file that the store must be in (`EmbeddedStore.identity`). If undefined, any file will do. */
  identity?: string;
  /** Cap of the store, bytes. */
  maxBytes: number;
  /** Visits with more bytes of runs are thinned. */
  maxVisitBytes?: number;
  /** How long visits are stored, milliseconds. */
  retainMs: number;
  durability: Durability;
  /** Parts of the store that sites may use; see site-weight.ts. */
  shares?: Shares;
}

/** How often to look for frames to compact, milliseconds. */
const COMPACT_MS = 150;
/** Maximum duration of one round of removals, milliseconds. */
const PRUNE_LIMIT_MS = 300;
/** How often to look for visits to remove, milliseconds. */
const PRUNE_MS = 500;
const READERS_MS = 60_000;
/** How often to look for counter totals of sites that were removed, milliseconds. */
const LOST_HITS_MS = 5000;

export async function maintainFile(
  { folder, id, identity, maxBytes, retainMs, ...options }: FileData,
  onDamage: (error: StoreError) => void,
): Promise<MaintainedArchive> {
  const create = id === undefined;
  const store = await openLmdbStore(folder, { maxBytes, ...options, create, onDamage, onLeftOut: onDamage });
  // The file may have been replaced since the worker opened it.
  const isOther = id !== undefined && (await store.id()) !== id;
  if (isOther || (identity !== undefined && store.identity !== identity)) {
    await store.close();
    throw new StoreError('not-a-store', `the store in ${folder} is not the one that the server uses`);
  }
  const { archive } = store;
  const compact = () => {
    archive.compactDue(Date.now());
  };
  // Removes a few visits; the next call continues.
  const prune = () => archive.pruneSome(Date.now(), retainMs, PRUNE_LIMIT_MS);
  return {
    archive,
    chores: [
      { everyMs: COMPACT_MS, work: compact },
      { everyMs: PRUNE_MS, work: prune },
      { everyMs: READERS_MS, work: () => archive.clearReaders() },
      { everyMs: LOST_HITS_MS, work: () => store.clearLostHits() },
    ],
    makeRoom: () => {
      compact();
      return prune();
    },
    takeNews: () => archive.takeNews(),
    addHits: (take) => store.addHits(take),
    answerAsOf: (at, answer) => archive.answerAsOf(at, answer),
    close: () => store.close(),
  };
}
