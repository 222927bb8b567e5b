/**
 * Commands on the store in the data folder. A server that runs on the same folder sees what they change at
 * once, and need not run.
 */
import { existsSync } from 'node:fs';
import type { Config } from './config.ts';
import { addressText, browseUrl } from './listen.ts';
import { normalOrigin, SITE_KEY, SITE_LIMIT } from './protocol/site.ts';
import { ADMIN_NAME, type Store } from './store/contract.ts';
import { openStore } from './store/embedded.ts';

/** Flags that only commands know. */
export const COMMAND_FLAGS = ['name', 'origin'] as const;

/** The commands' part of `--help`. */
export const COMMAND_HELP = `  fieldmouse admin add NAME      adds an administrator, or one already there: prints a one-time sign-in link
  fieldmouse admin reset NAME    for a forgotten password: takes it away, ends all sessions, prints a link
  fieldmouse admin list
  fieldmouse admin remove NAME   ends all of the administrator's sessions too
  fieldmouse token add NAME      prints an API token for programs
  fieldmouse token list
  fieldmouse token revoke ID
  fieldmouse site add KEY --name NAME --origin ORIGIN [--origin ORIGIN …]
  fieldmouse site list
  fieldmouse site remove KEY`;

/** Where a command writes, a line at a time. */
export interface Output {
  out(line: string): void;
  err(line: string): void;
}

/** 0: done · 1: the store says no · 2: the command line is wrong */
export type ExitCode = 0 | 1 | 2;

interface Call {
  /** The argument, or empty for a command without one. */
  word: string;
  names: string[];
  origins: string[];
  config: Config;
  store: Store;
  io: Output;
}

interface Command {
  /** What its argument is called in texts; none: it takes none. */
  takes?: string;
  flags?: true;
  /** What is wrong with the call, before the store is opened. */
  check?(call: Omit<Call, 'store'>): string[];
  run(call: Call): Promise<ExitCode>;
}

const COMMANDS = new Map<string, Command>(
  Object.entries({
    'admin add': { takes: 'NAME', check: checkAdmin, run: addAdmin },
    'admin reset': { takes: 'NAME', run: resetAdmin },
    'admin list': { run: listAdmins },
    'admin remove': { takes: 'NAME', run: removeAdmin },
    'token add': { takes: 'NAME', check: checkToken, run: addToken },
    'token list': { run: listTokens },
    'token revoke': { takes: 'ID', run: revokeToken },
    'site add': { takes: 'KEY', flags: true, check: checkSite, run: addSite },
    'site list': { run: listSites },
    'site remove': { takes: 'KEY', run: removeSite },
  }),
);

/**
 * Runs `words` as a command. `extra` holds the values of COMMAND_FLAGS. Resolves with the exit code; throws
 * StoreError when the data folder cannot be used.
 */
export async function runCommand(
  words: readonly string[],
  config: Config,
  extra: Readonly<Record<string, readonly string[]>>,
  io: Output,
): Promise<ExitCode> {
  const command = COMMANDS.get(words.slice(0, 2).join(' '));
  if (command === undefined) return usage(io, [unknownText(words)]);
  const call = {
    word: words[2] ?? '',
    names: [...(extra.name ?? [])],
    origins: [...(extra.origin ?? [])],
    config,
    io,
  };
  const faults = [...checkWords(command, words, call), ...(command.check?.(call) ?? [])];
  if (faults.length > 0) return usage(io, faults);
  if (!existsSync(config.data)) io.err(`A new data folder is made: ${config.data} (--data names another).`);
  const store = await openStore(config.data);
  try {
    return await command.run({ ...call, store });
  } finally {
    await store.close();
  }
}

function unknownText(words: readonly string[]): string {
  const verbs = [...COMMANDS.keys()].filter((name) => name.startsWith(`${words[0]} `));
  if (verbs.length === 0) return `${words[0]}: no such command`;
  const known = verbs.map((name) => name.split(' ')[1]).join(', ');
  return words[1] === undefined
    ? `${words[0]}: needs one of ${known}`
    : `${words[0]} ${words[1]}: needs one of ${known}`;
}

function checkWords({ takes, flags }: Command, words: readonly string[], { names, origins }: Omit<Call, 'store'>) {
  const name = words.slice(0, 2).join(' ');
  const faults: string[] = [];
  if (takes && !words[2]) faults.push(`${name}: needs ${takes}`);
  for (const word of words.slice(takes ? 3 : 2)) faults.push(`${name}: ${JSON.stringify(word)} is one word too many`);
  if (!flags && names.length > 0) faults.push(`--name: ${name} takes no such option`);
  if (!flags && origins.length > 0) faults.push(`--origin: ${name} takes no such option`);
  return faults;
}

function usage(io: Output, faults: readonly string[]): ExitCode {
  for (const fault of faults) io.err(`fieldmouse: ${fault}`);
  io.err(`\nUsage\n${COMMAND_HELP}`);
  return 2;
}

function refuse(io: Output, text: string): ExitCode {
  io.err(`fieldmouse: ${text}`);
  return 1;
}

function checkAdmin({ word }: Omit<Call, 'store'>): string[] {
  if (word === '' || ADMIN_NAME.test(word)) return [];
  return [`admin add: ${JSON.stringify(word)} is no name; use up to 64 letters, digits and . _ - @`];
}

async function addAdmin(call: Call): Promise<ExitCode> {
  const { word, store, io } = call;
  const isNew = await store.addAdmin(word, Date.now());
  io.out(isNew ? `Administrator ${word} is added.` : `Administrator ${word} was there already.`);
  return printLink(call);
}

async function resetAdmin(call: Call): Promise<ExitCode> {
  const { word, store, io } = call;
  if (!(await store.setPassword(word, null))) return refuse(io, `there is no administrator ${word}`);
  await store.removeSessions(word, undefined);
  io.out(`Administrator ${word} has no password now; open sessions and streams end.`);
  return printLink(call);
}

async function printLink(call: Call): Promise<ExitCode> {
  const { word, store, io } = call;
  const link = await store.addLink(word, Date.now());
  io.out('Sign in with this link; it works once, for 15 minutes:');
  io.out(`  ${await baseUrl(call)}/admin/link/${link}`);
  io.out('From elsewhere, put the address under which you reach the server in front.');
  return 0;
}

/** Where a browser on this machine finds the server: where it listens, or did last; else where it would. */
async function baseUrl({ config, store }: Call): Promise<string> {
  const noted = await store.addresses();
  const urls = (noted.length > 0 ? noted : config.listen.map(addressText)).map(browseUrl);
  return urls.find((url) => url !== undefined) ?? 'https://YOUR-HOST';
}

async function listAdmins({ store, io }: Call): Promise<ExitCode> {
  const rows = (await store.admins()).map(({ name, password, created }) => [
    name,
    time(created),
    password === null ? 'by link only' : 'by password',
  ]);
  table(io, ['NAME', 'ADDED', 'SIGNS IN'], rows, 'There is no administrator yet: fieldmouse admin add NAME');
  return 0;
}

async function removeAdmin({ word, store, io }: Call): Promise<ExitCode> {
  if (!(await store.removeAdmin(word))) return refuse(io, `there is no administrator ${word}`);
  io.out(`Administrator ${word} is removed; open sessions and streams end.`);
  if ((await store.admins()).length === 0) io.out('Nobody can sign in now. Add somebody: fieldmouse admin add NAME');
  return 0;
}

function checkToken({ word }: Omit<Call, 'store'>): string[] {
  if (/^[^\p{C}]{0,100}$/u.test(word)) return [];
  return [`token add: ${JSON.stringify(word)} is no name; use up to 100 characters on one line`];
}

async function addToken({ word, store, io }: Call): Promise<ExitCode> {
  const { secret, token } = await store.addToken(word, Date.now());
  io.out(`Token ${token.id} (${word}) is made. It is shown only now:`);
  io.out(`  ${secret}`);
  return 0;
}

async function listTokens({ store, io }: Call): Promise<ExitCode> {
  const rows = (await store.tokens()).map(({ id, name, created, lastUsed }) => [
    id,
    name,
    time(created),
    lastUsed === null ? 'never' : time(lastUsed),
  ]);
  table(io, ['ID', 'NAME', 'MADE', 'LAST USED'], rows, 'There is no token yet: fieldmouse token add NAME');
  return 0;
}

async function revokeToken({ word, store, io }: Call): Promise<ExitCode> {
  if (!(await store.removeToken(word))) return refuse(io, `there is no token ${word}; see fieldmouse token list`);
  io.out(`Token ${word} is revoked; its streams end.`);
  return 0;
}

function checkSite({ word, names, origins }: Omit<Call, 'store'>): string[] {
  const faults: string[] = [];
  if (word !== '' && !SITE_KEY.test(word))
    faults.push(`site add: ${JSON.stringify(word)} is no key; use up to 40 of a-z, 0-9 and -`);
  const [name = '', ...more] = names;
  if (more.length > 0 || !/^[^\p{C}]*[^\p{C}\s][^\p{C}]*$/u.test(name) || name.length > SITE_LIMIT.name)
    faults.push(`--name: give one, up to ${SITE_LIMIT.name} characters, such as --name "My shop"`);
  if (origins.length === 0) faults.push('--origin: give at least one, such as --origin https://www.example.org');
  if (origins.length > SITE_LIMIT.origins) faults.push(`--origin: give at most ${SITE_LIMIT.origins}`);
  for (const origin of origins)
    if (normalOrigin(origin) === undefined)
      faults.push(`--origin: ${JSON.stringify(origin)} is no origin; it must be as https://www.example.org or self`);
  return faults;
}

async function addSite(call: Call): Promise<ExitCode> {
  const { word: key, names, origins, config, store, io } = call;
  const normal = [...new Set(origins.map((origin) => normalOrigin(origin) as string))];
  const site = { key, name: names[0] as string, origins: normal, created: Date.now(), firstSeen: null };
  if (!(await store.addSite(site))) return refuse(io, `there is a site ${key} already`);
  io.out(`Site ${key} is added. Put this into its pages:`);
  io.out(`  <script defer src="${await baseUrl(call)}${config.scriptPath}" data-site="${key}"></script>`);
  io.out('with the address under which visitors reach this server.');
  return 0;
}

async function listSites({ store, io }: Call): Promise<ExitCode> {
  const rows = (await store.sites()).map(({ key, name, firstSeen, origins }) => [
    key,
    name,
    firstSeen === null ? 'nobody yet' : time(firstSeen),
    origins.join(' '),
  ]);
  table(io, ['KEY', 'NAME', 'FIRST VISITOR', 'ORIGINS'], rows, 'There is no site yet: fieldmouse site add KEY');
  return 0;
}

async function removeSite({ word, store, io }: Call): Promise<ExitCode> {
  if (!(await store.removeSite(word))) return refuse(io, `there is no site ${word}; see fieldmouse site list`);
  io.out(`Site ${word} is removed.`);
  return 0;
}

function time(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Columns as wide as their widest cell. */
function table(io: Output, head: readonly string[], rows: readonly string[][], empty: string): void {
  if (rows.length === 0) io.out(empty);
  else for (const row of padded([head, ...rows])) io.out(row.join('  ').trimEnd());
}

function padded(rows: readonly (readonly string[])[]): string[][] {
  const width = (i: number) => Math.max(...rows.map((row) => row[i]?.length ?? 0));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(width(i))));
}
