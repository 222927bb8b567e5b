/**
 * Work on a store that may be damaged, in a process of its own: where a page is broken, LMDB ends its process, and
 * only that one. Also for what must not stop others: all of a large file is read.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { moduleFile } from '../../../server/package-files.ts';
import type { Difference, Progress } from '../../archive.ts';
import { StoreError } from '../../contract.ts';
import { damaged, STORE_FILE } from './folder.ts';

/** What that process is asked for, and what it says. */
export type CheckTask = { k: 'inspect' | 'check'; folder: string } | { k: 'copy'; folder: string; to: string };
export type CheckReport =
  | { k: 'progress'; part: CheckPart; done: number; total: number }
  | { k: 'done'; differences: Difference[] }
  | { k: 'failed'; code: StoreError['code'] | undefined; message: string };

/** Parts of the work: pages of the file are read, counts made anew, bytes written. */
export type CheckPart = 'pages' | 'counts' | 'bytes';
export type PartProgress = (part: CheckPart, done: number, total: number) => void;

/**
 * Reads all of the store in a folder, while others use it: first that every page is in order, then whether counts and
 * heatmaps are those of the frames. Throws StoreError, `damaged` if a page is not.
 */
export async function inspect(folder: string, progress: PartProgress = () => {}): Promise<Difference[]> {
  return run({ k: 'inspect', folder }, progress);
}

/** Reads every page of the store in a folder, while others use it. Throws StoreError. */
export async function checkFile(folder: string): Promise<void> {
  await run({ k: 'check', folder }, () => {});
}

/** Copies the store in a folder to a new file as it is at one moment, while others write to it. Throws StoreError. */
export async function copy(folder: string, to: string, progress: Progress = () => {}): Promise<void> {
  await run({ k: 'copy', folder, to }, (_part, done, total) => progress(done, total));
}

async function run(task: CheckTask, progress: PartProgress): Promise<Difference[]> {
  const child = fork(fileURLToPath(moduleFile('store/lmdb/file/check-process-main')), {
    // What LMDB prints where it ends its process is told in one line, by what it was.
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

function outcome({ folder }: CheckTask, last: CheckReport | undefined, end: string): Difference[] {
  if (last?.k === 'done') return last.differences;
  if (last?.k === 'failed') {
    if (last.code === undefined) throw new Error(last.message);
    throw new StoreError(last.code, last.message);
  }
  throw damaged(join(folder, STORE_FILE), `reading it ended the process (${end})`);
}
