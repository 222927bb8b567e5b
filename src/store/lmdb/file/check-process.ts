/**
 * Work on a store that may be damaged, in a separate process: at a broken page, LMDB ends its process. It is also used
 * for work that reads all of a large file and must not delay others.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { moduleFile } from '../../../server/package-files.ts';
import type { Difference, Progress } from '../../archive.ts';
import { StoreError } from '../../contract.ts';
import { damaged, STORE_FILE } from './folder.ts';

/** The tasks of that process, and its reports. */
export type CheckTask = { k: 'inspect' | 'check'; folder: string } | { k: 'copy'; folder: string; to: string };
export type CheckReport =
  | { k: 'progress'; part: CheckPart; done: number; total: number }
  | { k: 'done'; differences: Difference[] }
  | { k: 'failed'; code: StoreError['code'] | undefined; message: string };

/** Parts of the work: reading the pages of the file, recounting, writing bytes. */
export type CheckPart = 'pages' | 'counts' | 'bytes';
export type PartProgress = (part: CheckPart, done: number, total: number) => void;

/**
 * Checks the whole store in a folder while others use it: first all pages, then whether counts and heatmaps match the
 * frames. Throws StoreError, `damaged` if a page is broken.
 */
export async function inspect(folder: string, progress: PartProgress = () => {}): Promise<Difference[]> {
  return run({ k: 'inspect', folder }, progress);
}

/** Reads every page of the store in a folder, while others use it. Throws StoreError. */
export async function checkFile(folder: string): Promise<void> {
  await run({ k: 'check', folder }, () => {});
}

/** Copies the state of the store at one moment to a new file, while others write to it. Throws StoreError. */
export async function copy(folder: string, to: string, progress: Progress = () => {}): Promise<void> {
  await run({ k: 'copy', folder, to }, (_part, done, total) => progress(done, total));
}

async function run(task: CheckTask, progress: PartProgress): Promise<Difference[]> {
  const child = fork(fileURLToPath(moduleFile('store/lmdb/file/check-process-main')), {
    // What LMDB prints when it ends its process is replaced by one line.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  let last: CheckReport | undefined;
  child.on('message', (report: CheckReport) => {
    if (report.k === 'progress') progress(report.part, report.done, report.total);
    else last = report;
  });
  child.send(task);
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return outcome(task, last, signal ?? `exit code ${code}`);
}

/** Signals that a person or the system sends, when memory is short for example. They say nothing about the file. */
const STOPS: ReadonlySet<string> = new Set(['SIGHUP', 'SIGINT', 'SIGKILL', 'SIGTERM']);

function outcome({ folder }: CheckTask, last: CheckReport | undefined, end: string): Difference[] {
  if (last?.k === 'done') return last.differences;
  if (last?.k === 'failed') {
    if (last.code === undefined) throw new Error(last.message);
    throw new StoreError(last.code, last.message);
  }
  if (STOPS.has(end))
    throw new StoreError('busy', `the check of the store in ${folder} was stopped from outside (${end}); run it again`);
  throw damaged(join(folder, STORE_FILE), `reading it ended the process (${end})`);
}
