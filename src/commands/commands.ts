/**
 * Commands on the store, in the data folder or in Redis. Servers that run on the same store see what they change at
 * once, and need not run.
 */
import type { Config } from '../config.ts';
import { ACCOUNT_COMMANDS, ACCOUNT_HELP } from './accounts.ts';
import { AUDIT_COMMANDS, AUDIT_HELP } from './audit.ts';
import { BACKUP_COMMANDS, BACKUP_HELP } from './backup.ts';
import type { Call, Command, ExitCode, Output } from './command.ts';
import { ERASE_COMMANDS, ERASE_HELP } from './erase.ts';
import { EXPORT_COMMANDS, EXPORT_HELP } from './export.ts';
import { COMMAND_FLAGS, type Flag } from './flags.ts';
import { HITS_COMMANDS, HITS_HELP } from './hits.ts';
import { IMPORT_COMMANDS, IMPORT_HELP } from './import.ts';
import { MIGRATE_COMMANDS, MIGRATE_HELP } from './migrate.ts';
import { RELOAD_COMMANDS, RELOAD_HELP } from './reload.ts';
import { SITE_COMMANDS, SITE_HELP } from './sites.ts';
import { VERIFY_COMMANDS, VERIFY_HELP } from './verify.ts';

/** The commands' part of `--help`. */
export const COMMAND_HELP = [
  RELOAD_HELP,
  ACCOUNT_HELP,
  AUDIT_HELP,
  SITE_HELP,
  HITS_HELP,
  EXPORT_HELP,
  IMPORT_HELP,
  ERASE_HELP,
  VERIFY_HELP,
  BACKUP_HELP,
  MIGRATE_HELP,
].join('\n');

const COMMANDS = new Map<string, Command>(
  Object.entries({
    ...RELOAD_COMMANDS,
    ...ACCOUNT_COMMANDS,
    ...AUDIT_COMMANDS,
    ...SITE_COMMANDS,
    ...HITS_COMMANDS,
    ...EXPORT_COMMANDS,
    ...IMPORT_COMMANDS,
    ...ERASE_COMMANDS,
    ...VERIFY_COMMANDS,
    ...BACKUP_COMMANDS,
    ...MIGRATE_COMMANDS,
  }),
);

/**
 * Runs `words` as a command. `extra` holds the values of COMMAND_FLAGS. Resolves with the exit code; throws
 * StoreError when the store cannot be used.
 */
export async function runCommand(
  words: readonly string[],
  config: Config,
  extra: Readonly<Record<string, readonly string[]>>,
  io: Output,
): Promise<ExitCode> {
  const name = nameOf(words);
  const command = COMMANDS.get(name);
  if (command === undefined) return usage(io, [unknownText(words)]);
  const rest = words.slice(name.split(' ').length);
  const flags = Object.fromEntries(COMMAND_FLAGS.map((flag) => [flag, extra[flag] ?? []])) as Call['flags'];
  const call = { word: (command.takes && rest[0]) || '', flags, config, io };
  const faults = [...checkWords(name, command, rest), ...checkFlags(name, command, flags)];
  faults.push(...(command.check?.(call) ?? []));
  return faults.length > 0 ? usage(io, faults) : command.run(call);
}

/** Commands are called by two words, or by one. */
function nameOf(words: readonly string[]): string {
  const two = words.slice(0, 2).join(' ');
  return COMMANDS.has(two) ? two : (words[0] ?? '');
}

function unknownText(words: readonly string[]): string {
  const verbs = [...COMMANDS.keys()].filter((name) => name.startsWith(`${words[0]} `));
  if (verbs.length === 0) return `${words[0]}: no such command`;
  const known = verbs.map((name) => name.split(' ')[1]).join(', ');
  return words[1] === undefined
    ? `${words[0]}: needs one of ${known}`
    : `${words[0]} ${words[1]}: needs one of ${known}`;
}

function checkWords(name: string, { takes }: Command, rest: readonly string[]): string[] {
  const faults = takes && !rest[0] ? [`${name}: needs ${takes}`] : [];
  for (const word of rest.slice(takes ? 1 : 0)) faults.push(`${name}: ${JSON.stringify(word)} is one word too many`);
  return faults;
}

function checkFlags(name: string, { flags = [] }: Command, given: Call['flags']): string[] {
  const foreign = COMMAND_FLAGS.filter((flag: Flag) => given[flag].length > 0 && !flags.includes(flag));
  return foreign.map((flag) => `--${flag}: ${name} takes no such option`);
}

function usage(io: Output, faults: readonly string[]): ExitCode {
  for (const fault of faults) io.err(`fieldmouse: ${fault}`);
  io.err(`\nUsage\n${COMMAND_HELP}`);
  return 2;
}
