/**
 * Secrets that open doors: 256 random bits each, so a plain SHA-256 of one is enough to keep; it cannot be
 * found again by trying, as a password's could.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A new secret, base64url, 43 characters. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** What is kept of a secret: base64url, 43 characters. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** Compares two hashes in a time that tells nothing about them. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Which store this is, by the secret that was made once for it: 16 hex digits that tell nothing about the secret. */
export function storeId(secret: Uint8Array): string {
  return createHash('sha256').update('store\0').update(secret).digest('hex').slice(0, 16);
}

/** An API token as its owner writes it; the prefix lets scanners of source code find one that got out. */
export function newToken(): { id: string; secret: string } {
  const id = randomBytes(6).toString('hex');
  return { id, secret: `fm_${id}_${newSecret()}` };
}

/** The id within an API token, or undefined for any other text. */
export function tokenId(secret: string): string | undefined {
  return /^fm_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/.exec(secret)?.[1];
}

/**
 * The counter that an address or a name falls into. Sixteen bits of a keyed hash: the value cannot be read
 * back, and no flood of made-up ones can make more than 65,536 counters of a kind.
 */
export function counterKey(key: Buffer, kind: string, value: string): string {
  return `${kind}:${createHmac('sha256', key).update(`${kind}\0${value}`).digest('hex').slice(0, 4)}`;
}
