/**
 * The output of `--help`: for all commands, for those that start with the same word, and for one command. Built from
 * the descriptions of the commands.
 */
import { describeOptions, flagText, type OptionKey } from '../config/config.ts';
import { wrap } from '../lib/wrap.ts';
import { version } from '../server/version.ts';
import { FLAG_VALUES, type Flag } from './flags.ts';

/** The description of a command. */
export interface Manual {
  /** What it does, in one line; also shown in the overview. */
  does: string;
  /** More details. */
  more?: string;
  /** The syntax after its name. */
  usage?: string;
  /** Its flags, in the order in which they are shown. */
  flags?: Readonly<Partial<Record<Flag, string>>>;
  /** Server options that matter to it; empty: all. */
  options?: readonly OptionKey[];
  /** Command lines, without `fieldmouse`. */
  examples: readonly string[];
}

export type Manuals = ReadonlyMap<string, Manual>;

/** Options that say where the store is. */
const STORE_OPTIONS: readonly OptionKey[] = ['data', 'redis'];
const NAME_COLUMNS = 20;

export function overview(manuals: Manuals): string {
  const rows = [...manuals].map(([name, { does }]) => `  ${name.padEnd(NAME_COLUMNS)}${does}`);
  return `fieldmouse ${version} – see what visitors do on your site, live

Usage
  fieldmouse [start] [options]
  fieldmouse COMMAND [options]

Commands
${rows.join('\n')}

Common options
${describeOptions(['listen', 'workers', 'data', 'redis'])}

fieldmouse COMMAND --help describes one command; fieldmouse start --help lists
all options.`;
}

export function helpOf(name: string, manual: Manual): string {
  const { does, more, flags = {}, options = STORE_OPTIONS } = manual;
  const own = Object.entries(flags).map(([flag, text]) =>
    flagText(`--${flag} ${FLAG_VALUES[flag as Flag]}`.trimEnd(), text),
  );
  return [
    `Usage\n${usageOf(name, manual)}`,
    wrap(`${sentence(does)}${more ? ` ${more}` : ''}`, 0),
    `Options\n${[...own, describeOptions(options.length > 0 ? options : undefined)].join('\n')}`,
    examplesText(manual.examples),
  ].join('\n\n');
}

/** The help for all commands whose names start with `word`. */
export function groupHelp(word: string, members: Manuals): string {
  const all = [...members];
  const first = all[0]?.[0] ?? word;
  return [
    `Usage\n${all.map(([name, manual]) => `${usageOf(name, manual)}\n${wrap(manual.does, 8)}`).join('\n')}`,
    `Options\n${describeOptions(STORE_OPTIONS)}`,
    examplesText(all.slice(0, 2).flatMap(([, { examples }]) => examples.slice(0, 1))),
    `See fieldmouse ${first} --help for details.`,
  ].join('\n\n');
}

function usageOf(name: string, { usage, options }: Manual): string {
  const parts = [`fieldmouse ${name}`, usage, options?.length === 0 && '[options]'];
  return `  ${wrap(parts.filter(Boolean).join(' '), 6).trimStart()}`;
}

function examplesText(examples: readonly string[]): string {
  return ['Examples', ...examples.map((line) => `  fieldmouse ${line}`)].join('\n');
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
