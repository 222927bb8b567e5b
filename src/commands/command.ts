/** What a command is, and what all of them share. */
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

/** Where a command reads and writes. */
export interface Output {
  /** A line for people or scripts. */
  out(line: string): void;
  err(line: string): void;
  /** Standard input and output, for data of any length. */
  input: Readable;
  data: Writable;
  /** The terminal that standard error is, or undefined if it is none. */
  screen: Writable | undefined;
}

/** 0: done · 1: the store says no · 2: the command line is wrong · 3: done, but for what is damaged (--skip-damaged) */
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
  /** What its argument is called in texts; none: it takes none. */
  takes?: string;
  /** What is wrong with the call, before anything is opened. */
  check?(call: Invocation): string[];
  run(call: Invocation): Promise<ExitCode>;
}

/**
 * Commands check all pages of a store up to this size before they use it, bytes. That takes about a second. On a larger
 * one they run in a process of their own.
 */
const CHECKED_BYTES = 256e6;
/** For commands that read all of the store anyway. */
export const ANY_SIZE = Number.POSITIVE_INFINITY;

/**
 * Runs a command with the store, which is closed afterwards. A folder without a store is refused, and nothing is made
 * there. All pages of a store of at most `checkBytes` are checked first. On a larger store the command runs in a child
 * process, with the words of `more` added to its command line.
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
      // What the command has shown is not all that there should be.
      if (damage !== undefined && code === 0) call.io.err(`fieldmouse: ${damage}`);
      return code;
    } finally {
      await store.close();
    }
  };
}

/**
 * As `onStore`, for commands that delete for good: they ask first, unless --yes is given. Without a terminal nobody can
 * be asked, and without --yes they do nothing then.
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

/** Undefined: go on. */
async function refusal({ flags, io }: Invocation, what: string): Promise<ExitCode | undefined> {
  if (flags.yes.length > 0) return undefined;
  const asked = isTerminal(io.input) ? placeToAsk(io) : undefined;
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

/** Where a person can read a question, also if standard error or both outputs go to a file. Undefined: nowhere. */
function placeToAsk({ screen, data }: Output): ((text: string) => void) | undefined {
  if (screen) return (text) => screen.write(text);
  if (isTerminal(data)) return (text) => data.write(text);
  try {
    const fd = openSync('/dev/tty', 'w');
    return (text) => writeSync(fd, text);
  } catch {
    return undefined;
  }
}

/** What a person types; empty at the end of the input. */
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

/** Says so where there is no store. One in Redis is there as soon as it is opened. */
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

/** Stands in an address for what is not known of it, and what is to be said then. */
const NO_BASE = 'https://YOUR-HOST';
export const NO_BASE_TEXT = `The server's address is not known here: replace ${NO_BASE} with the address under which the server is reached.`;

/**
 * Where a browser on this machine finds the server, its base path included: where that of the data folder listens, or
 * did last; else where the command line says. If neither tells, the default would be a guess: `base` begins with
 * NO_BASE then, and `isKnown` is false.
 */
export async function baseUrl({ config, store }: StoreInvocation): Promise<{ base: string; isKnown: boolean }> {
  const noted = await store.addresses();
  const said = config.listen.map(addressText).filter((address) => address !== OPTIONS.listen.preset);
  const all = noted.length > 0 ? noted : said.map((address) => address + config.basePath);
  const found = all.map(browseUrl).find((url) => url !== undefined);
  return { base: found ?? NO_BASE + config.basePath, isKnown: found !== undefined };
}

/** A time to the minute. */
export function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Columns as wide as their widest cell. */
export function table(io: Output, head: readonly string[], rows: readonly string[][], empty: string): void {
  if (rows.length === 0) io.out(empty);
  else for (const row of padded([head, ...rows])) io.out(row.join('  ').trimEnd());
}

function padded(rows: readonly (readonly string[])[]): string[][] {
  const width = (i: number) => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(width(i))));
}
