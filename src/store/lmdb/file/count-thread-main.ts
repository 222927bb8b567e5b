/** A thread of a team that recounts visits. count-threads.ts starts it. */
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { Difference } from '../../archive.ts';
import { slotsIn } from '../../record/sums.ts';
import { type CountSource, countUnit, shareOf, unitsOf } from '../count-unit.ts';
import { PageNumberTable } from '../page-table.ts';
import { openTables } from '../tables.ts';
import { VisitTable } from '../visit-table.ts';
import { AHEAD, SHARED, THREAD_STATE, type ThreadReport, type ThreadTask } from './count-threads.ts';
import { damageDifference, damaged, STORE_FILE } from './folder.ts';
import { StoreFile } from './store-file.ts';

const { folder, share, shares, shared, partBytes, reports } = workerData as ThreadTask;

/** Thrown when the team ends before everything is counted. */
class Over extends Error {}

const damage = new Set<string>();
const file = StoreFile.open(folder);
try {
  const tables = file.alone(() => openTables(file.root, (what) => void damage.add(what)));
  const pages = new PageNumberTable(tables);
  parentPort?.postMessage('ready');
  countAll({ tables, pages, visitTable: new VisitTable(tables, pages) });
} catch (error) {
  if (!(error instanceof Over)) report({ fault: (error as Error).message });
} finally {
  await file.close();
}

function countAll(source: CountSource): void {
  wait(SHARED.state, () => stateNow() === THREAD_STATE.counting);
  file.root.resetReadTxn();
  const reading = file.root.useReadTransaction();
  Atomics.add(shared, SHARED.reading, 1);
  Atomics.notify(shared, SHARED.reading);
  for (const [i, unit] of unitsOf(source, partBytes).entries()) {
    wait(SHARED.joined, () => Atomics.load(shared, SHARED.joined) >= i - AHEAD);
    const { sums, found } = countUnit(source, unit, shareOf(unit, share, shares), tell);
    report({ sums: sums.pack(), found: [...found, ...damageFound()] });
  }
  reading.done();
}

/** Returns the entries that could not be read, as differences. */
function damageFound(): Difference[] {
  const found = [...damage].map((what) => damageDifference(damaged(join(folder, STORE_FILE), what)));
  damage.clear();
  return found;
}

function report(one: ThreadReport): void {
  reports.postMessage(one, 'sums' in one ? slotsIn(one.sums) : []);
  Atomics.add(shared, SHARED.sent, 1);
  Atomics.notify(shared, SHARED.sent);
}

function tell(): void {
  Atomics.add(shared, SHARED.counted, 1);
  if (stateNow() === THREAD_STATE.over) throw new Over();
}

function stateNow(): number {
  return Atomics.load(shared, SHARED.state);
}

/** Waits until `isTrue` returns true. The memory at `place` changes when the result may change. */
function wait(place: number, isTrue: () => boolean): void {
  while (!isTrue()) {
    if (stateNow() === THREAD_STATE.over) throw new Over();
    const before = Atomics.load(shared, place);
    if (!isTrue()) Atomics.wait(shared, place, before);
  }
}
