/**
 * The thread of a worker that appends, compacts, reads and removes, so that visitors need not wait. thread-archive.ts
 * is the other side.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { HitGroup } from '../accounts/account-snapshot.ts';
import type { Archive } from '../archive.ts';
import { StoreError } from '../contract.ts';
import type { MaintainedArchive } from './maintenance.ts';
import { type Answer, type Question, split, type ThreadData } from './thread-archive.ts';

/** How often to check whether visits were removed, milliseconds, and the minimum time between two reports. */
const NEWS_CHECK_MS = 1000;
const NEWS_INTERVAL_MS = 60_000;
/** Minimum time between two reports of damage, milliseconds. */
const DAMAGE_INTERVAL_MS = 60_000;

let damageReportedAt = Number.NEGATIVE_INFINITY;
const port = parentPort as NonNullable<typeof parentPort>;
const record = await open(workerData as ThreadData);
const { archive } = record;
const timers = [...record.chores, { everyMs: NEWS_CHECK_MS, work: reportNews }].map(({ everyMs, work }) =>
  runEvery(everyMs, work),
);

port.on('message', (question: Question) => {
  if (question.method === 'addHits') addHits(question);
  else void answer(question);
});
port.postMessage({ id: 0 } satisfies Answer);

/** Loads only the store that is needed. */
async function open(data: ThreadData): Promise<MaintainedArchive> {
  if ('redis' in data) return (await import('../redis/redis-maintenance.ts')).maintainRedis(data, reportDamage);
  return (await import('../lmdb/lmdb-maintenance.ts')).maintainFile(data, reportDamage);
}

async function answer(question: Question): Promise<void> {
  const { id, method } = question;
  if (method === 'close') return close(id);
  try {
    port.postMessage({ id, value: await call(question) } satisfies Answer);
  } catch (error) {
    refuse(id, error);
    if (method === 'append' && error instanceof StoreError && error.code === 'full') await makeRoom();
  }
}

function call({ method, args, at }: Question): unknown {
  if (method === 'append') return archive.append(split(args[0] as Uint8Array, args[1] as number[]));
  const work = archive[method as keyof Archive] as (...all: unknown[]) => unknown;
  const answer = () => work.apply(archive, args);
  return record.answerAsOf && at !== undefined ? record.answerAsOf(at, answer) : answer();
}

function refuse(id: number, error: unknown): void {
  const { message } = error as Error;
  port.postMessage({ id, error: { message, code: error instanceof StoreError ? error.code : undefined } });
}

/** Counts page visits, together with those that arrived while another worker was writing. */
function addHits(first: Question): void {
  const questions = [first];
  const others: Question[] = [];
  try {
    const outcomes = record.addHits?.(() => {
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port))
        (next.message.method === 'addHits' ? questions : others).push(next.message);
      return questions.map(({ args }) => args[0] as HitGroup[]);
    });
    for (const [i, { id }] of questions.entries()) port.postMessage({ id, value: outcomes?.[i] } satisfies Answer);
  } catch (error) {
    for (const { id } of questions) refuse(id, error);
  }
  for (const question of others) void answer(question);
}

/** Runs `work` periodically, never twice at once. */
function runEvery(ms: number, work: () => void | Promise<void>): NodeJS.Timeout {
  let isBusy = false;
  return setInterval(async () => {
    if (isBusy) return;
    isBusy = true;
    await runSafely(work);
    isBusy = false;
  }, ms);
}

/**
 * Runs `work`. Appends report a full disk or an unreachable server, and the work is tried again. Any other error ends
 * the thread.
 */
async function runSafely(work: () => void | Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === 'damaged') reportDamage(error);
  }
}

let newsReportedAt = Number.NEGATIVE_INFINITY;

function reportNews(): void {
  if (performance.now() - newsReportedAt < NEWS_INTERVAL_MS) return;
  const news = record.takeNews();
  if (news.heldMs === 0 && Object.values(news.removed).every((visits) => visits === 0)) return;
  newsReportedAt = performance.now();
  port.postMessage({ id: 0, news } satisfies Answer);
}

/** Reports damage. All other visits are still stored. */
function reportDamage({ code, message }: StoreError): void {
  if (performance.now() - damageReportedAt < DAMAGE_INTERVAL_MS) return;
  damageReportedAt = performance.now();
  port.postMessage({ id: 0, error: { code, message } } satisfies Answer);
}

let makingRoom: Promise<void> | undefined;

function makeRoom(): Promise<void> {
  makingRoom ??= runSafely(() => record.makeRoom()).finally(() => {
    makingRoom = undefined;
  });
  return makingRoom;
}

async function close(id: number): Promise<void> {
  for (const timer of timers) clearInterval(timer);
  newsReportedAt = Number.NEGATIVE_INFINITY;
  reportNews();
  await record.close();
  port.postMessage({ id } satisfies Answer);
  port.close();
}
