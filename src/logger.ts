import { type Logger as Pino, pino } from 'pino';
import { LogLimit } from './log-limit.ts';

/** What every part may log with; pino's shape. */
export type Logger = Pick<Pino, 'debug' | 'info' | 'warn' | 'error'>;

/** How many lines were left out is told after so long at the latest, milliseconds. */
const TELL_MS = 60_000;
/** Below this level all is written: who asks for it wants to see each request. */
const LIMITED = pino.levels.values.info as number;
const LEFT_OUT = 'lines left out';

/**
 * One JSON line per entry on standard output. `part` says which process speaks. Of lines with the same text that come too
 * often most are left out; how many is told once a minute.
 *
 * Addresses, tokens and payloads have no place in fields: callers pass counts, codes and ids of our own.
 */
export function createLogger(level: string, part: string): Pino {
  const limit = new LogLimit();
  const later: { timer?: NodeJS.Timeout } = {};
  const tell = () => {
    delete later.timer;
    for (const one of limit.leftOut()) logger.warn(one, LEFT_OUT);
  };
  const logger = pino({
    level,
    base: { pid: process.pid, part },
    hooks: {
      logMethod(args, method, number) {
        const text = textOf(args);
        if (number < LIMITED || text === LEFT_OUT || limit.take(text, Date.now())) method.apply(this, args);
        else later.timer ??= setTimeout(tell, TELL_MS).unref();
      },
    },
  });
  return logger;
}

/** Of `(text)` or `(fields, text)`, as pino's methods are called. */
function textOf([first, second]: unknown[]): string {
  return String(typeof first === 'object' ? second : first);
}
