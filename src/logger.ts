import { type Logger as Pino, pino } from 'pino';

/** What every part may log with; pino's shape. */
export type Logger = Pick<Pino, 'debug' | 'info' | 'warn' | 'error'>;

/**
 * One JSON line per entry on standard output. `part` says which process speaks.
 * Addresses, tokens and payloads have no place in fields: callers pass counts, codes and ids of our own.
 */
export function createLogger(level: string, part: string): Pino {
  return pino({ level, base: { pid: process.pid, part } });
}
