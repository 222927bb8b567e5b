/**
 * Runs a command in a child process. LMDB ends its process when it meets a broken page. Checking all pages of a large
 * store first would take long, so the cause is reported afterwards.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { StoreError } from '../store/contract.ts';
import { checkFile } from '../store/lmdb/file/check-process.ts';
import { damaged, STORE_FILE } from '../store/lmdb/file/folder.ts';

/** Environment variable that marks a child process, as opposed to a command that a person started. */
const IS_CHILD = 'FIELDMOUSE_COMMAND_CHILD';
/** Signals that end a process when it reads a broken page. */
const CRASHES: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGILL', 'SIGFPE', 'SIGTRAP']);
const LMDB_LINE = /^page \d+ not found error$|\bmdb\.c:\d+/;
/** Signals that the parent forwards. The sender knows only the parent's process id. */
const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function isChild(): boolean {
  return process.env[IS_CHILD] !== undefined;
}

/**
 * Runs the command line of this process again in a child process, with the options of `more` added, on the store in
 * `folder`. Resolves with the exit code. Throws StoreError `damaged` if a broken page ended the child.
 */
export async function runChild(folder: string, more: readonly string[]): Promise<number> {
  const [main = '', ...words] = process.argv.slice(1);
  // Before the other words: those may end with `--` and an id that starts with a dash.
  const child = spawn(process.execPath, [...process.execArgv, main, ...more, ...words], {
    // On a terminal the child draws progress bars.
    stdio: ['inherit', 'inherit', process.stderr.isTTY ? 'inherit' : 'pipe'],
    env: { ...process.env, [IS_CHILD]: '1' },
  });
  const stderrEnd = child.stderr ? passLines(child.stderr) : undefined;
  const pass = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of FORWARDED_SIGNALS) process.on(signal, pass);
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  await stderrEnd;
  for (const one of FORWARDED_SIGNALS) process.off(one, pass);
  if (signal === null) return code ?? 1;
  if (CRASHES.has(signal)) throw await faultOf(folder, signal);
  process.kill(process.pid, signal);
  return 1;
}

/** Passes on the command's error output, without the lines that LMDB adds when it meets a broken page. */
async function passLines(from: Readable): Promise<void> {
  for await (const line of createInterface({ input: from }))
    if (!LMDB_LINE.test(line)) process.stderr.write(`${line}\n`);
}

/** The error for a process that a signal ended. */
async function faultOf(folder: string, signal: string): Promise<StoreError> {
  try {
    await checkFile(folder);
    return damaged(join(folder, STORE_FILE), `using it crashed the process (${signal})`);
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}
