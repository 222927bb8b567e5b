/**
 * Passwords: scrypt (RFC 7914), stored as `scrypt$<log2 N>$<r>$<p>$<salt>$<hash>` so that the cost can be raised later.
 */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { comeBackLater } from '../problem.ts';

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/**
 * OWASP's parameters for 32 MiB: an attempt costs as much as one with 128 MiB and fewer rounds. About 0.2 s of CPU
 * time.
 */
const COST = { ln: 15, r: 8, p: 3 } as const;
const MAX_MEMORY = 64 * 1024 * 1024;

/** scrypt runs on Node's four threads, which files and DNS need too; and each run needs 32 MiB. */
const AT_ONCE = 2;
const WAITING = 16;

export const PASSWORD_LIMIT = { least: 10, most: 200 } as const;

/** Throws Problem 503 if too many calls are waiting. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await run(password, salt, COST);
  return ['scrypt', COST.ln, COST.r, COST.p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

/**
 * True if the password is right. Without a stored password it takes the same time and returns false, so that the time
 * does not reveal which names exist. Throws Problem 503 if too many calls are waiting.
 */
export async function checkPassword(password: string, kept: string | null | undefined): Promise<boolean> {
  const [, ln, r, p, salt = '', hash = ''] = (kept ?? '').split('$');
  if (!hash) {
    await run(password, Buffer.alloc(16), COST);
    return false;
  }
  const expected = Buffer.from(hash, 'base64url');
  const actual = await run(password, Buffer.from(salt, 'base64url'), { ln: Number(ln), r: Number(r), p: Number(p) });
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

let running = 0;
const waiting: (() => void)[] = [];

async function run(password: string, salt: Buffer, { ln, r, p }: { ln: number; r: number; p: number }) {
  await enter();
  try {
    // The same bytes for a character from any keyboard (RFC 8265 section 4.2).
    return await derive(password.normalize('NFC'), salt, 32, { N: 2 ** ln, r, p, maxmem: MAX_MEMORY });
  } finally {
    leave();
  }
}

async function enter(): Promise<void> {
  if (running < AT_ONCE) running += 1;
  else if (waiting.length >= WAITING)
    throw comeBackLater(503, 'busy', 'Too many people are signing in. Try again soon.', 2000);
  else await new Promise<void>((resolve) => waiting.push(resolve));
}

/** Passes the slot to the next waiting call, or frees it. */
function leave(): void {
  const next = waiting.shift();
  if (next) next();
  else running -= 1;
}
