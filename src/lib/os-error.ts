/** Describes errors of the operating system for people. Such an error is not a bug, and its stack helps nobody. */
import { getSystemErrorMap } from 'node:util';

/** What to do, unless that is obvious. */
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'free some space there',
  EDQUOT: 'free some space, or raise the quota',
  EFBIG: 'raise the limit of file sizes (ulimit -f)',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENFILE: 'raise the system-wide limit of open files',
  EIO: 'check the system log: the disk may be failing',
};

/** LMDB's errors during a copy have only the system's words. */
const MESSAGES: readonly (readonly [RegExp, string])[] = [
  [/^no space left on device/i, 'ENOSPC'],
  [/^disk quota exceeded/i, 'EDQUOT'],
  [/^file too large/i, 'EFBIG'],
  [/^input\/output error/i, 'EIO'],
  [/^read-only file system/i, 'EROFS'],
  [/^permission denied/i, 'EACCES'],
];

/**
 * The system's name of an error, such as ENOSPC; undefined for other errors. LMDB's errors have its number, or its
 * words.
 */
export function osErrorName(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, message } = error as Error & { code?: unknown };
  if (code === undefined) return MESSAGES.find(([words]) => words.test(message))?.[1];
  if (typeof code === 'number') return code > 0 ? getSystemErrorMap().get(-code)?.[0] : undefined;
  return typeof code === 'string' && /^E(?!RR_)[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** One line: the subject, the problem, and what to do. Undefined if it is not an error of the system. */
export function osErrorText(error: unknown): string | undefined {
  const name = osErrorName(error);
  if (name === undefined) return undefined;
  const { message, path, dest } = error as { message: string; path?: unknown; dest?: unknown };
  // The useful part of Node's `ENOSPC: no space left on device, write` and `listen EADDRINUSE: address in use
  // 0.0.0.0:80`.
  const [, reason = message] = /E[A-Z0-9]+: ([^,]+)/.exec(message) ?? [];
  const location = [dest, path].find((one) => typeof one === 'string');
  const remedy = REMEDIES[name];
  return `${location === undefined ? '' : `${location}: `}${reason} (${name})${remedy === undefined ? '' : `; ${remedy}`}`;
}
