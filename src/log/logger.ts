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
    serializers: { err: errorFields },
    hooks: {
      logMethod(args, method, number) {
        const text = textOf(args);
        if (number < LIMITED || text === LEFT_OUT || limit.take(text, performance.now())) method.apply(this, args);
        else later.timer ??= setTimeout(tell, TELL_MS).unref();
      },
    },
  });
  return logger;
}

/**
 * What the log keeps of an error. Not its other properties: those of an error about an address or a text hold that text,
 * which may have come from a request. For the same reason messages of the language and of Node, which quote what they were
 * given, lose what they quote; those of JSON.parse and the like are left out. The frames say where it happened.
 */
export function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name: type, message, stack = '' } = error;
  const { code } = error as NodeJS.ErrnoException;
  const text = unquoted(error, message);
  // The stack begins with the message, which may have any lines.
  const after = stack.slice(stack.indexOf(message) + message.length);
  const frames = after.split('\n').filter((line) => /^ {4}at /.test(line));
  return {
    type,
    ...(code !== undefined && { code }),
    message: text,
    stack: [`${type}: ${text}`, ...frames].join('\n'),
  };
}

function unquoted(error: Error, message: string): string {
  if (error instanceof SyntaxError) return '(not shown: it may quote a request)';
  const quotes = error instanceof TypeError || error instanceof RangeError || error instanceof URIError;
  return quotes ? message.replace(/['"`].*['"`]/s, '…') : message;
}

/** Of `(text)` or `(fields, text)`, as pino's methods are called. */
function textOf([first, second]: unknown[]): string {
  return String(typeof first === 'object' ? second : first);
}
