/**
 * Commands on the store, in the data folder or in Redis. Servers on the same store see changes at once, and need not be
 * running.
 */
import type { Config } from '../config/config.ts';
import { suggestionText } from '../lib/suggest.ts';
import { ACCOUNT_COMMANDS } from './account-commands.ts';
import { AUDIT_COMMANDS } from './audit-commands.ts';
import { BACKUP_COMMANDS } from './backup.ts';
import type { Command, ExitCode, Invocation, Output } from './command.ts';
import { DOCTOR_COMMANDS } from './doctor.ts';
import { ERASE_COMMANDS } from './erase.ts';
import { EXPORT_COMMANDS } from './export.ts';
import { COMMAND_FLAGS, type Flag } from './flags.ts';
import { groupHelp, helpOf, type Manuals, overview } from './help.ts';
import { HITS_COMMANDS } from './hit-commands.ts';
import { IMPORT_COMMANDS } from './import.ts';
import { MIGRATE_COMMANDS } from './migrate.ts';
import { RELOAD_COMMANDS } from './reload.ts';
import { SITE_COMMANDS } from './site-commands.ts';
import { START } from './start.ts';
import { VERIFY_COMMANDS } from './verify.ts';

/** All commands by name, in the order of the help. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  Object.entries({
    ...RELOAD_COMMANDS,
    ...ACCOUNT_COMMANDS,
    ...SITE_COMMANDS,
    ...DOCTOR_COMMANDS,
    ...AUDIT_COMMANDS,
    ...HITS_COMMANDS,
    ...EXPORT_COMMANDS,
    ...IMPORT_COMMANDS,
    ...ERASE_COMMANDS,
    ...VERIFY_COMMANDS,
    ...BACKUP_COMMANDS,
    ...MIGRATE_COMMANDS,
  }),
);

export const MANUALS: Manuals = new Map([['start', START], ...COMMANDS]);

/**
 * Runs `words` as a command. `extra` has the values of COMMAND_FLAGS. Resolves with the exit code; throws StoreError if
 * the store cannot be used.
 */
export async function runCommand(
  words: readonly string[],
  config: Config,
  extra: Readonly<Record<string, readonly string[]>>,
  io: Output,
): Promise<ExitCode> {
  const name = nameOf(words);
  const command = COMMANDS.get(name);
  if (command === undefined) return usage(io, words, [unknownText(words)]);
  const rest = words.slice(name.split(' ').length);
  const flags = Object.fromEntries(COMMAND_FLAGS.map((flag) => [flag, extra[flag] ?? []])) as Invocation['flags'];
  const call = { word: (command.takes && rest[0]) || '', flags, config, io };
  const faults = [...checkWords(name, command, rest), ...checkFlags(name, command, flags)];
  faults.push(...(command.check?.(call) ?? []));
  return faults.length > 0 ? usage(io, words, faults) : command.run(call);
}

/** Prints the help of the command that the words name; without words, of all commands. */
export function showHelp(words: readonly string[], io: Output): ExitCode {
  const name = nameOf(words);
  const manual = MANUALS.get(name);
  const members = membersOf(words[0]);
  if (words.length === 0 || words[0] === 'help') io.out(overview(MANUALS));
  else if (manual !== undefined) io.out(helpOf(name, manual));
  else if (members.size > 0) io.out(groupHelp(words[0] as string, members));
  else return usage(io, words, [unknownText(words)]);
  return 0;
}

/** Where to find help for the command that was typed. */
export function hintText(words: readonly string[]): string {
  const name = words.length === 0 ? 'start' : nameOf(words);
  if (MANUALS.has(name) || membersOf(words[0]).size > 0) return `See fieldmouse ${name} --help.`;
  return 'fieldmouse --help lists all commands; fieldmouse start --help lists all options.';
}

/** Command names have one or two words. */
function nameOf(words: readonly string[]): string {
  const two = words.slice(0, 2).join(' ');
  return MANUALS.has(two) ? two : (words[0] ?? '');
}

function membersOf(word: string | undefined): Manuals {
  return new Map([...MANUALS].filter(([name]) => name.startsWith(`${word} `)));
}

function unknownText([first = '', second]: readonly string[]): string {
  const verbs = [...membersOf(first).keys()].map((name) => name.split(' ')[1] as string);
  if (verbs.length === 0) {
    const known = new Set([...MANUALS.keys(), 'help'].map((name) => name.split(' ')[0] as string));
    return `${first || "''"}: no such command${suggestionText(first, known)}`;
  }
  const needed = `needs one of ${verbs.join(', ')}`;
  return second === undefined ? `${first}: ${needed}` : `${first} ${second}: ${needed}${suggestionText(second, verbs)}`;
}

function checkWords(name: string, { takes, examples }: Command, rest: readonly string[]): string[] {
  const faults = takes && !rest[0] ? [`${name}: needs ${takes}, for example: fieldmouse ${examples[0]}`] : [];
  for (const word of rest.slice(takes ? 1 : 0)) faults.push(`${name}: unexpected argument ${JSON.stringify(word)}`);
  return faults;
}

function checkFlags(name: string, { flags = {} }: Command, given: Invocation['flags']): string[] {
  const foreign = COMMAND_FLAGS.filter((flag: Flag) => given[flag].length > 0 && !(flag in flags));
  return foreign.map((flag) => `--${flag}: not an option of ${name}`);
}

function usage(io: Output, words: readonly string[], faults: readonly string[]): ExitCode {
  for (const fault of faults) io.err(`fieldmouse: ${fault}`);
  io.err(hintText(words));
  return 2;
}
