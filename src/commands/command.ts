/** The definition of a command, and functions shared by all commands. */
import { existsSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type Config, OPTIONS } from '../config/config.ts';
import { addressText, browseUrl } from '../server/listen.ts';
import type { Store } from '../store/contract.ts';
import { STORE_FILE } from '../store/lmdb/file/folder.ts';
import { openStore } from '../store/open.ts';
import { isChild, runChild } from './child.ts';
import type { Flag } from './flags.ts';
import type { Manual } from './help.ts';

/** Input and output of a command. */
export interface Output {
  /** A line for people or scripts. */
  out(line: string): void;
  err(line: string): void;
  /** Standard input and output, for data of any length. */
  input: Readable;
  data: Writable;
  /** The terminal on standard error, or undefined if it is not a terminal. */
  screen: Writable | undefined;
}

/**
 * 0: done · 1: the command failed · 2: the command line is wrong · 3: done, except for damaged data (--skip-damaged)
 */
export type ExitCode = 0 | 1 | 2 | 3;

export interface Invocation {
  /** The argument, or empty for a command without one. */
  word: string;
  flags: Readonly<Record<Flag, readonly string[]>>;
  config: Config;
  io: Output;
}

export interface StoreInvocation extends Invocation {
  store: Store;
}

export interface Command extends Manual {
  /** The name of its argument in texts; undefined: it takes none. */
  takes?: string;
  /** Returns errors of the command line. Called before anything is opened. */
  check?(call: Invocation): string[];
  run(call: Invocation): Promise<ExitCode>;
}

/**
 * Up to this size all pages of a store are checked before a command uses it, bytes. That takes about a second. With a
 * larger store commands run in a child process.
 */
const CHECKED_BYTES = 256e6;
/** For commands that read the whole store anyway. */
export const ANY_SIZE = Number.POSITIVE_INFINITY;

/**
 * Runs a command with the store, which is closed afterwards. Fails for a folder without a store, and creates nothing
 * there. All pages of a store of at most `checkBytes` are checked first. With a larger store the command runs in a
 * child process, with the options of `more` added to its command line.
 */
export function onStore(
  run: (call: StoreInvocation) => Promise<ExitCode>,
  checkBytes: number = CHECKED_BYTES,
  more: readonly string[] = [],
): Command['run'] {
  return async (call) => {
    const missing = noStore(call);
    if (missing) return missing;
    const { config } = call;
    if (!config.redis && !isChild() && sizeOf(config) > checkBytes)
      return (await runChild(config.data, more)) as ExitCode;
    const { maxStore: maxBytes, durability } = config;
    let damage: string | undefined;
    const onDamage = ({ message }: Error) => {
      damage ??= message;
    };
    const store = await openStore(config, { maxBytes, durability, onDamage, checkBytes });
    try {
      const code = await run({ ...call, store });
      // The output of the command is incomplete.
      if (damage !== undefined && code === 0) call.io.err(`fieldmouse: ${damage}`);
      return code;
    } finally {
      await store.close();
    }
  };
}

/**
 * As `onStore`, for commands that delete data: they ask first, unless --yes is given. Without a terminal and without
 * --yes they do nothing.
 */
export function onStoreIfSure(
  what: (word: string) => string,
  run: (call: StoreInvocation) => Promise<ExitCode>,
): Command['run'] {
  return async (call) =>
    noStore(call) ?? (await refusal(call, what(call.word))) ?? onStore(run, CHECKED_BYTES, ['--yes'])(call);
}

function sizeOf({ data }: Config): number {
  return statSync(join(data, STORE_FILE)).size;
}

/** Undefined: continue. */
async function refusal({ flags, io }: Invocation, what: string): Promise<ExitCode | undefined> {
  if (flags.yes.length > 0) return undefined;
  const asked = isTerminal(io.input) ? openTerminal(io) : undefined;
  if (!asked) {
    io.err(`fieldmouse: this would permanently delete ${what}; there is no terminal to ask on: confirm with --yes`);
    return 2;
  }
  if (/^y(es)?$/i.test((await answerTo(io.input, asked, `Permanently delete ${what}? [y/N] `)).trim()))
    return undefined;
  return refuseRunning(io, 'nothing was deleted');
}

function isTerminal(stream: Readable | Writable): boolean {
  return (stream as { isTTY?: boolean }).isTTY === true;
}

/**
 * Where a person can read a question, even if standard error or both outputs are redirected to a file. Undefined:
 * nowhere.
 */
function openTerminal({ screen, data }: Output): ((text: string) => void) | undefined {
  if (screen) return (text) => screen.write(text);
  if (isTerminal(data)) return (text) => data.write(text);
  try {
    const fd = openSync('/dev/tty', 'w');
    return (text) => writeSync(fd, text);
  } catch {
    return undefined;
  }
}

/** Returns the typed answer; empty at the end of the input. */
async function answerTo(input: Readable, ask: (text: string) => void, question: string): Promise<string> {
  const lines = createInterface({ input });
  ask(question);
  try {
    for await (const line of lines) return line;
    return '';
  } finally {
    lines.close();
  }
}

/** Prints an error if no store exists. A store in Redis exists as soon as it is opened. */
export function noStore({ config, io }: Invocation): ExitCode | undefined {
  if (config.redis || existsSync(join(config.data, STORE_FILE))) return undefined;
  return refuseRunning(
    io,
    `there is no store in ${config.data}; start the server to create one, or set another folder with --data`,
  );
}

export function refuseRunning(io: Output, text: string): ExitCode {
  io.err(`fieldmouse: ${text}`);
  return 1;
}

/** Placeholder in a URL for an unknown host, and the explanation of it. */
const NO_BASE = 'https://YOUR-HOST';
export const NO_BASE_TEXT = `The server's address is not known here: replace ${NO_BASE} with the address under which the server is reached.`;

/**
 * The URL, including the base path, at which a browser on this computer finds the server: where the server of the data
 * folder listens or last listened, otherwise where the command line says. If neither is known, a default would be a
 * guess: then `base` starts with NO_BASE, and `isKnown` is false.
 */
export async function baseUrl({ config, store }: StoreInvocation): Promise<{ base: string; isKnown: boolean }> {
  const noted = await store.addresses();
  const said = config.listen.map(addressText).filter((address) => address !== OPTIONS.listen.preset);
  const all = noted.length > 0 ? noted : said.map((address) => address + config.basePath);
  const address = all.map(browseUrl).find((url) => url !== undefined);
  return { base: address ?? NO_BASE + config.basePath, isKnown: address !== undefined };
}

/** A time to the minute. */
export function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Prints a table. Each column is as wide as its widest cell. */
export function table(io: Output, head: readonly string[], rows: readonly string[][], empty: string): void {
  if (rows.length === 0) io.out(empty);
  else for (const row of padded([head, ...rows])) io.out(row.join('  ').trimEnd());
}

function padded(rows: readonly (readonly string[])[]): string[][] {
  const width = (i: number) => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(width(i))));
}
