import { type Logger as Pino, pino } from 'pino';
import { LogLimit } from './log-limit.ts';

/** The logger interface for all parts, in pino's shape. */
export type Logger = Pick<Pino, 'debug' | 'info' | 'warn' | 'error'>;

/** Maximum time until the number of left out lines is logged, milliseconds. */
const REPORT_MS = 60_000;
/** Below this level there is no limit: who enables it wants to see each request. */
const LIMITED = pino.levels.values.info as number;
const OMITTED = 'lines left out';

/**
 * Writes one JSON line per entry to standard output. `part` names the process. Lines with the same text that come too
 * often are left out; their number is logged once a minute.
 *
 * Addresses, tokens and payloads must not be in fields: callers pass counts, codes and ids of our own.
 */
export function createLogger(level: string, part: string): Pino {
  const limit = new LogLimit();
  const report: { timer?: NodeJS.Timeout } = {};
  const logOmitted = () => {
    delete report.timer;
    for (const one of limit.leftOut()) logger.warn(one, OMITTED);
  };
  const logger = pino({
    level,
    base: { pid: process.pid, part },
    serializers: { err: errorFields },
    hooks: {
      logMethod(args, method, number) {
        const text = textOf(args);
        if (number < LIMITED || text === OMITTED || limit.take(text, performance.now())) method.apply(this, args);
        else report.timer ??= setTimeout(logOmitted, REPORT_MS).unref();
      },
    },
  });
  return logger;
}

/**
 * The loggable fields of an error. Other properties are dropped: they may contain an address or text from a request.
 * For the same reason, quoted parts are removed from messages of JavaScript and Node, and messages of JSON.parse and
 * the like are dropped. The stack frames show where it happened.
 */
export function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name: type, message, stack = '' } = error;
  const { code } = error as NodeJS.ErrnoException;
  const text = unquoted(error, message);
  // The stack starts with the message, which may have several lines.
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

/** The text in `(text)` or `(fields, text)`, the arguments of pino's methods. */
function textOf([first, second]: unknown[]): string {
  return String(typeof first === 'object' ? second : first);
}
