/** Flags that only commands know; apart, since the command line has to be read before it is known what it asks for. */

/** What is written after each. */
export const FLAG_VALUES = {
  name: 'NAME',
  origin: 'ORIGIN',
  role: 'ROLE',
  site: 'KEY',
  from: 'DAY',
  to: 'DAY',
  format: 'FORMAT',
  out: 'FILE',
} as const;

export type Flag = keyof typeof FLAG_VALUES;
export const COMMAND_FLAGS = Object.keys(FLAG_VALUES) as Flag[];
