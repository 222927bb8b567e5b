/** The process that check-process.ts starts. It performs one task, reports the result, and ends. */
import { rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type Database, open, type RootDatabase } from 'lmdb';
import { osErrorText } from '../../../lib/os-error.ts';
import type { Difference } from '../../archive.ts';
import { StoreError } from '../../contract.ts';
import { PART_BYTES } from '../../record/recount.ts';
import { openLmdbStore } from '../lmdb-store.ts';
import type { CheckPart, CheckReport, CheckTask } from './check-process.ts';
import { CountThreads } from './count-threads.ts';
import { damageDifference, damaged, isDamage, notAStore, STORE_FILE } from './folder.ts';
import { StoreFile, seedFreeList } from './store-file.ts';

/** Minimum time between two progress messages, milliseconds. A message for each page would cost more than the page. */
const REPORT_MS = 100;
/** Smaller stores are counted in one thread, bytes: starting threads would take longer than counting. */
const LARGE_BYTES = 32 * 1024 * 1024;
/** Maximum number of threads: each has its own counts in memory. */
const MAX_THREADS = 4;

process.once('message', (task: CheckTask) => void work(task));
// Nobody waits for the result any more.
process.on('disconnect', () => process.exit(1));
// Ctrl-C reaches the whole process group. The parent ends, and this process with it.
process.on('SIGINT', () => {});

async function work(task: CheckTask): Promise<void> {
  try {
    report({ k: 'done', differences: await perform(task) });
  } catch (error) {
    const fault = isDamage(error) ? damaged(join(task.folder, STORE_FILE), error.message) : refusalOf(error as Error);
    const code = fault instanceof StoreError ? fault.code : undefined;
    report({ k: 'failed', code, message: fault.message });
  }
}

/** Reports an error of the system, such as a full disk, in one line. It is not a bug. */
function refusalOf(error: Error): Error {
  const text = error instanceof StoreError ? undefined : osErrorText(error);
  return text === undefined ? error : new StoreError('disk-error', text);
}

async function perform(task: CheckTask): Promise<Difference[]> {
  switch (task.k) {
    case 'copy':
      return copy(task);
    case 'check':
      return inspectPages(task.folder);
    case 'inspect':
      await inspectPages(task.folder);
      return inspectCounts(task.folder);
  }
}

/** Sends the last report, and then ends this process. */
function report(last: CheckReport): void {
  process.send?.(last, () => process.exit(0));
}

function reporter(part: CheckPart) {
  let due = 0;
  return (done: number, total: number) => {
    const now = performance.now();
    if (now < due) return;
    due = now + REPORT_MS;
    process.send?.({ k: 'progress', part, done, total } satisfies CheckReport);
  };
}

async function inspectCounts(folder: string): Promise<Difference[]> {
  const found = new Map<string, Difference>();
  const note = (difference: Difference) => void found.set(difference.what, difference);
  const store = await openLmdbStore(folder, { create: false, onDamage: (error) => note(damageDifference(error)) });
  const team = await CountThreads.start(folder, sharesFor(folder), PART_BYTES);
  try {
    await Promise.all([store.sites(), store.admins(), store.tokens(), store.sessions(0), store.allHits()]);
    const differences = await store.archive.verify(reporter('counts'), team);
    for (const difference of differences) note(difference);
    return [...found.values()];
  } finally {
    await team.end();
    await store.close();
  }
}

/** Returns how many threads count a store. */
function sharesFor(folder: string): number {
  const { size } = statSync(join(folder, STORE_FILE));
  return size < LARGE_BYTES ? 1 : Math.min(availableParallelism(), MAX_THREADS);
}

async function inspectPages(folder: string): Promise<[]> {
  const file = StoreFile.open(folder);
  const progress = reporter('pages');
  try {
    if (file.root.openDB('meta', {}).get('format') === undefined) throw notAStore(join(folder, STORE_FILE));
    for (const [done, total] of file.checkedPages()) {
      progress(done, total);
      await setImmediate();
    }
    return [];
  } finally {
    await file.close();
  }
}

async function copy({ folder, to }: { folder: string; to: string }): Promise<[]> {
  process.umask(0o077);
  const file = StoreFile.open(folder);
  const { root } = file;
  const total = sizeOf(root);
  const progress = reporter('bytes');
  const timer = setInterval(() => progress(statSync(to, { throwIfNoEntry: false })?.size ?? 0, total), REPORT_MS);
  try {
    // Compacting copy: without free pages, and in order.
    await root.backup(to, true);
    await seedCopy(to);
    return [];
  } finally {
    clearInterval(timer);
    await file.close();
  }
}

/** Prepares a copy for its first write, also by a version or a tool without `seedFreeList`. */
async function seedCopy(path: string): Promise<void> {
  const root = open({ path, maxDbs: 64, overlappingSync: false });
  try {
    seedFreeList(root);
  } finally {
    await root.close();
    rmSync(`${path}-lock`, { force: true });
  }
}

/** Returns the bytes in use, from the tables' statistics. */
function sizeOf(root: RootDatabase): number {
  const tables = [...root.getKeys()].map((name) => root.openDB(String(name), {}));
  return tables.reduce((sum, table) => sum + tableSize(table), 0);
}

function tableSize(table: Database): number {
  const stats = table.getStats() as Record<string, number>;
  const { treeBranchPageCount = 0, treeLeafPageCount = 0, overflowPages = 0, pageSize = 0 } = stats;
  return (treeBranchPageCount + treeLeafPageCount + overflowPages) * pageSize;
}
