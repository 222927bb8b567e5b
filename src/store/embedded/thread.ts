/**
 * The thread that a worker keeps its record by: writes, files, reads and clears away, so that visitors need not wait.
 * thread-archive.ts is the other side.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Archive } from '../archive.ts';
import { StoreError } from '../contract.ts';
import type { HitGroup } from '../hits.ts';
import { openStore } from './store.ts';
import { type Answer, parted, type Question, type ThreadData } from './thread-archive.ts';

/** What has waited is looked for so often, milliseconds, and some of it filed. */
const FILE_MS = 150;
/** Removing goes on for at most so long at once, milliseconds. */
const PRUNE_LIMIT_MS = 100;
/** Visits that are due to go are looked for so often, milliseconds. */
const PRUNE_MS = 500;
const READERS_MS = 60_000;
/** That something in the store is damaged is told so often, milliseconds. */
const TELL_MS = 60_000;
/** While the store is above this share of its cap, the oldest visits go. */
const PRUNE_AT = 0.8;

const port = parentPort as NonNullable<typeof parentPort>;
const { folder, maxBytes, retainMs, durability } = workerData as ThreadData;
const store = await openStore(folder, { maxBytes, durability });
const { archive } = store;
const timers = [every(FILE_MS, file), every(PRUNE_MS, prune), every(READERS_MS, () => archive.clearReaders())];

port.on('message', (question: Question) => {
  if (question.method === 'addHits') addHits(question);
  else void answer(question);
});
port.postMessage({ id: 0 } satisfies Answer);

async function answer(question: Question): Promise<void> {
  const { id, method } = question;
  if (method === 'close') return close(id);
  try {
    port.postMessage({ id, value: await call(question) } satisfies Answer);
  } catch (error) {
    refuse(id, error);
    if (method === 'append') makeRoom();
  }
}

function call({ method, args }: Question): unknown {
  if (method === 'append') return archive.append(parted(args[0] as Uint8Array, args[1] as number[]));
  const work = archive[method as keyof Archive] as (...all: unknown[]) => unknown;
  return work.apply(archive, args);
}

function refuse(id: number, error: unknown): void {
  const { message } = error as Error;
  port.postMessage({ id, error: { message, code: error instanceof StoreError ? error.code : undefined } });
}

/** Counts page visits, with those that have come while another worker wrote. */
function addHits(first: Question): void {
  const questions = [first];
  const others: Question[] = [];
  try {
    const outcomes = store.addHits(() => {
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port))
        (next.message.method === 'addHits' ? questions : others).push(next.message);
      return questions.map(({ args }) => args[0] as HitGroup[]);
    });
    for (const [i, { id }] of questions.entries()) port.postMessage({ id, value: outcomes[i] } satisfies Answer);
  } catch (error) {
    for (const { id } of questions) refuse(id, error);
  }
  for (const question of others) void answer(question);
}

function every(ms: number, work: () => unknown): NodeJS.Timeout {
  return setInterval(() => {
    try {
      work();
    } catch (error) {
      // A disk that is full is told by those that append; this is tried again.
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'damaged') tellDamage(error);
    }
  }, ms);
}

let toldAt = Number.NEGATIVE_INFINITY;

/** Other visits are kept all the same. */
function tellDamage({ code, message }: StoreError): void {
  if (performance.now() - toldAt < TELL_MS) return;
  toldAt = performance.now();
  port.postMessage({ id: 0, error: { code, message } } satisfies Answer);
}

function file(): void {
  archive.fileDue(Date.now());
}

/** What was refused is sent again soon. */
function makeRoom(): void {
  try {
    file();
    prune();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

/** A little at a time, until the next time. */
function prune(): void {
  archive.pruneSome(Date.now() - retainMs, PRUNE_AT * maxBytes, PRUNE_LIMIT_MS);
}

async function close(id: number): Promise<void> {
  for (const timer of timers) clearInterval(timer);
  await store.close();
  port.postMessage({ id } satisfies Answer);
  port.close();
}
