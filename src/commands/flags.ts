/**
 * Flags that only commands use. They are listed separately because the command line is read before the command is
 * known.
 */

/** The name of each flag's value in the help; undefined for a switch (SWITCHES of config.ts). */
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

/** The help text of --yes. */
export const YES = 'delete without asking; required if the input is not a terminal';

export type Flag = keyof typeof FLAG_VALUES;
export const COMMAND_FLAGS = Object.keys(FLAG_VALUES) as Flag[];
