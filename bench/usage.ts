/** Command lines of the tools that run with `npm run NAME -- …`: `--help`, and a one-line error. */
import { parseArgs } from 'node:util';
import { suggestionText } from '../src/lib/suggest.ts';
import { wrap } from '../src/lib/wrap.ts';

export interface Option {
  /** Name of the option's value. Undefined: the option is a switch. */
  value?: string;
  text: string;
  /** Returns what would be valid, for an invalid value. */
  check?(value: string): string | undefined;
}

export interface Usage {
  /** For example `bench` for `npm run bench`. */
  name: string;
  /** What it does. */
  does: string;
  /** How long that takes. */
  takes: string;
  /** Allowed words, and their name. Undefined: no words are allowed. */
  words?: { called: string; known: readonly string[] };
  options: Readonly<Record<string, Option>>;
}

export interface Call {
  words: string[];
  /** Values of options that were given; of a switch, empty. */
  values: Readonly<Record<string, string>>;
}

/** An invalid command line. The message is one line. */
export class UsageFault extends Error {}

/** Reads the command line of this process. With `--help` or an error, prints the text and ends the process. */
export function callOf(usage: Usage): Call {
  const argv = process.argv.slice(2);
  if (argv.includes('--help') || argv.includes('-h')) {
    console.log(helpText(usage));
    process.exit(0);
  }
  try {
    return readCall(usage, argv);
  } catch (error) {
    if (!(error instanceof UsageFault)) throw error;
    console.error(`${usage.name}: ${error.message} (npm run ${usage.name} -- --help says more)`);
    process.exit(2);
  }
}

/** Throws UsageFault for the first error. */
export function readCall({ words: taken, options }: Usage, argv: readonly string[]): Call {
  const types = Object.entries(options).map(([name, { value }]) => [name, { type: value ? 'string' : 'boolean' }]);
  const call: Call & { values: Record<string, string> } = { words: [], values: {} };
  const parsed = parseArgs({
    args: [...argv],
    options: Object.fromEntries(types),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of parsed.tokens) {
    if (token.kind === 'positional') call.words.push(checkWord(token.value, taken));
    if (token.kind === 'option') call.values[token.name] = checkValue(token.name, token.value, options);
  }
  return call;
}

function checkWord(word: string, taken: Usage['words']): string {
  if (!taken) throw new UsageFault(`${word}: it takes no words, only options`);
  if (taken.known.includes(word)) return word;
  throw new UsageFault(`${word}: there is no such ${taken.called}${suggestionText(word, taken.known)}`);
}

function checkValue(name: string, value: string | undefined, options: Usage['options']): string {
  const option = Object.hasOwn(options, name) ? options[name] : undefined;
  const dashed = Object.keys(options).map((one) => `--${one}`);
  if (!option) throw new UsageFault(`--${name}: there is no such option${suggestionText(`--${name}`, dashed)}`);
  if (!option.value && value !== undefined) throw new UsageFault(`--${name}: it takes no value`);
  if (option.value && value === undefined) throw new UsageFault(`--${name}: it needs a value (${option.value})`);
  const right = option.check?.(value ?? '');
  if (right !== undefined) throw new UsageFault(`--${name}: ${JSON.stringify(value)} is not ${right}`);
  return value ?? '';
}

export function helpText({ name, does, takes, words, options }: Usage): string {
  const flags = Object.entries(options).map(([flag, { value }]) => `[--${[flag, value].filter(Boolean).join(' ')}]`);
  const line = ['npm run', name, '--', words && '[NAME …]', ...flags].filter(Boolean).join(' ');
  const list = Object.entries(options).map(
    ([flag, { value, text }]) => `  --${[flag, value].filter(Boolean).join(' ')}\n${wrap(text, 8)}`,
  );
  return [
    `Usage\n  ${wrap(line, 6).trimStart()}`,
    wrap(does, 0),
    wrap(takes, 0),
    words && `Names; all of them without any\n${wrap(words.known.join(' '), 2)}`,
    list.length > 0 && `Options\n${list.join('\n')}`,
  ]
    .filter(Boolean)
    .join('\n\n');
}

/** Checks that a value is a number from `least` to `most`. */
export function number(least: number, most: number, isWhole = true): NonNullable<Option['check']> {
  return (text) => {
    const value = Number(text);
    const isGood = text.trim() !== '' && value >= least && value <= most && (!isWhole || Number.isInteger(value));
    return isGood ? undefined : `a ${isWhole ? 'whole ' : ''}number from ${least} to ${most}`;
  };
}
