/** Flags that only commands know; apart, since the command line has to be read before it is known what it asks for. */

/** What is written after each; nothing after a switch (SWITCHES of config.ts). */
export const FLAG_VALUES = {
  name: 'NAME',
  origin: 'ORIGIN',
  role: 'ROLE',
  site: 'KEY',
  from: 'DAY',
  to: 'DAY',
  format: 'FORMAT',
  out: 'FILE',
  yes: '',
  'skip-damaged': '',
} as const;

/** Help of --yes. */
export const YES = 'delete without asking; required if the input is not a terminal';

export type Flag = keyof typeof FLAG_VALUES;
export const COMMAND_FLAGS = Object.keys(FLAG_VALUES) as Flag[];
