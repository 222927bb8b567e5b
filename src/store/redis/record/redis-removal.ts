/**
 * Removes visits, and what they added to counts and heatmaps. A small visit is removed in one step. A large one would
 * take so long that somebody else changes the record meanwhile, and would block Redis. It is removed piece by piece, as
 * in the LMDB store (record/removal-queue.ts).
 */

import { MINUTE_MS } from '../../../model/minute.ts';
import type { RedisCommand } from '../../../redis/connection.ts';
import { Aggregator, newAggregation, restartAggregation } from '../../record/aggregator.ts';
import { decodeRuns } from '../../record/chunk.ts';
import { DamageLog, warnOfRemoved } from '../../record/damage.ts';
import { minutesIn } from '../../record/minute-sums.ts';
import {
  newRemovedVisit,
  PIECE_BYTES,
  PIECE_MINUTES,
  PieceBudget,
  type RemovedVisit,
  removedVisitName,
} from '../../record/removal-queue.ts';
import { dayOf } from '../../record/sums.ts';
import type { PageHashes } from './page-hash.ts';
import type { RecordSite, RedisVisit } from './record-site.ts';
import { RecordTransaction } from './record-transaction.ts';
import { visitOf } from './visit-time.ts';

/**
 * Removes visits (members of `by-time`), up to the size of one step, together with the commands `also`. Returns how
 * many were removed, or undefined, without an effect, if somebody else has changed the record meanwhile. Of a damaged
 * visit, what can be read is subtracted from the counts. If its entry is missing, its runs and its member are removed
 * without that.
 */
export async function removeVisits(
  site: RecordSite,
  pageHashes: PageHashes,
  members: readonly string[],
  also: readonly RedisCommand[] = [],
  pieceBytes = PIECE_BYTES,
): Promise<number | undefined> {
  const transaction = await RecordTransaction.start(site, pageHashes);
  await transaction.readVisits(members.map((member) => visitOf(member)[1]));
  const faults: string[] = [];
  let removed = 0;
  const budget = new PieceBudget(pieceBytes);
  for (const member of members) {
    const [since, number] = visitOf(member);
    const visit = transaction.get(number);
    const size = visit?.bytes ?? 0;
    if (!budget.take(visit, size)) break;
    if (visit) removed += 1;
    if (visit && budget.isLarge(visit, size)) {
      transaction.unlist(number, visit);
      transaction.add(['HSET', site.keys.going, String(number), JSON.stringify(newRemovedVisit(visit))]);
      continue;
    }
    const fault = await removeWhole(transaction, number, visit ?? missingEntry(site.name, since));
    if (fault !== undefined || !visit) faults.push(fault ?? 'its entry is not there');
  }
  transaction.add(...also);
  if (!(await transaction.commit())) return undefined;
  warnOfRemoved(faults, `the site ${site.name} in Redis`);
  return removed;
}

/** Returns an entry for a visit of which only the start and the runs exist. */
function missingEntry(site: string, since: number): RedisVisit {
  const untold = { device: 'unknown', language: '', referrer: '', origin: '', country: '', label: '' } as const;
  const visit = {
    ...untold,
    id: '',
    site,
    since,
    size: [0, 0, 0, 0] as RedisVisit['size'],
    tally: newAggregation(since),
  };
  return { ...visit, seen: [], frames: 0, lastRun: 0, elements: 0, bytes: 0, marks: [] };
}

/** Removes a visit. Returns what could not be read, if anything. Its runs are read in parts: there may be many. */
async function removeWhole(
  transaction: RecordTransaction,
  number: number,
  visit: RedisVisit,
): Promise<string | undefined> {
  const damage = new DamageLog();
  const tally = new Aggregator(visit.site, transaction.sums, -1, transaction.pages, restartAggregation(visit));
  for await (const some of transaction.site.runs(number, visit, 0, damage)) {
    const runs = transaction.named(some);
    for (const run of runs) damage.tryRead(() => tally.add(run));
    transaction.removeFromMinutes(number, visit, runs);
  }
  transaction.remove(number, visit);
  return damage.fault?.message;
}

/**
 * Removes the next piece of a visit that is being removed. Returns false if there is none, or undefined, without an
 * effect, if somebody else has changed the record meanwhile.
 */
export async function removePiece(
  site: RecordSite,
  pageHashes: PageHashes,
  pieceBytes = PIECE_BYTES,
): Promise<boolean | undefined> {
  const transaction = await RecordTransaction.start(site, pageHashes);
  const [next] = await site.going();
  if (!next) return false;
  const [number, going] = next;
  const tally = new Aggregator(site.name, transaction.sums, -1, transaction.pages, going.away);
  tally.countDeepest(going.page, 1);
  // The number of the current page may be released only now.
  if (going.page > 0)
    transaction.sums.countsOf(site.name, transaction.pages.numberOf(site.name, going.away.page), dayOf(going.since));
  const isLeft =
    removeMinutes(transaction, number, going) || (await removeElements(transaction, number, going, tally, pieceBytes));
  if (isLeft) tally.countDeepest(going.page, -1);
  const { keys } = site;
  if (isLeft) transaction.add(['HSET', keys.going, String(number), JSON.stringify(going)]);
  else transaction.add(['HDEL', keys.going, String(number)], ['UNLINK', keys.runs(number)]);
  if (!(await transaction.commit())) return undefined;
  if (!isLeft && going.damage !== '') warnOfRemoved([going.damage], `the site ${site.name} in Redis`);
  return true;
}

/**
 * Removes the visit from some of the minutes of its stays, while their pages still have numbers. Returns false after
 * the last one.
 */
function removeMinutes(transaction: RecordTransaction, number: number, going: RemovedVisit): boolean {
  let left = PIECE_MINUTES;
  for (const { page, t, until } of going.stays)
    for (const minute of minutesIn({ t: Math.max(t, going.minute * MINUTE_MS), until })) {
      if (left === 0) return true;
      transaction.removeFromMinute(number, minute, [transaction.pages.numberOf(going.site, page)]);
      going.minute = minute;
      left -= 1;
    }
  const wereSome = going.stays.length > 0;
  going.stays = [];
  return wereSome;
}

/** Returns false if no element was left. */
async function removeElements(
  transaction: RecordTransaction,
  number: number,
  going: RemovedVisit,
  tally: Aggregator,
  pieceBytes: number,
): Promise<boolean> {
  const elements = await transaction.site.firstElements(number, pieceBytes);
  if (elements.length === 0) return false;
  const damage = new DamageLog();
  for (const element of elements) {
    const runs = damage.tryRead(() => decodeRuns(element)) ?? [];
    for (const run of runs)
      for (const minute of minutesIn(run)) transaction.removeFromMinute(number, minute, [run.page]);
    for (const run of transaction.named(runs, (page) => removedVisitName(going, page)))
      damage.tryRead(() => tally.add(run));
  }
  going.page = transaction.pages.find(going.away.page) ?? 0;
  going.damage ||= damage.fault?.message ?? '';
  transaction.add(['LPOP', transaction.site.keys.runs(number), String(elements.length)]);
  return true;
}
