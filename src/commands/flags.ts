/** Flags that only commands know; apart, since the command line has to be read before it is known what it asks for. */
export const COMMAND_FLAGS = ['name', 'origin', 'role', 'site', 'from', 'to', 'format', 'out'] as const;
export type Flag = (typeof COMMAND_FLAGS)[number];
