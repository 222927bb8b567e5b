/**
 * Secrets of sessions, links and API tokens: 256 random bits each. Only their SHA-256 is stored. No salt or slow hash
 * is needed: unlike a password, such a secret cannot be found by brute force.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** Returns a new secret: base64url, 43 characters. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Returns the hash that is stored for a secret: base64url, 43 characters. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}

/** Compares two hashes in constant time. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Returns the id of a store, derived from its secret: 16 hex digits that reveal nothing about the secret. */
export function storeId(secret: Uint8Array): string {
  return createHash('sha256').update('store\0').update(secret).digest('hex').slice(0, 16);
}

/** Returns a new API token and its id. The prefix lets secret scanners find a token that leaked into source code. */
export function newToken(): { id: string; secret: string } {
  const id = randomBytes(6).toString('hex');
  return { id, secret: `fm_${id}_${newSecret()}` };
}

/** Returns the id in an API token, or undefined for any other text. */
export function tokenId(secret: string): string | undefined {
  return /^fm_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/.exec(secret)?.[1];
}

/**
 * Returns the key of the counter for an address or a name: sixteen bits of a keyed hash. The value cannot be recovered,
 * and invented values create at most 65,536 counters of each kind.
 */
export function counterKey(key: Buffer, kind: string, value: string): string {
  return `${kind}:${createHmac('sha256', key).update(`${kind}\0${value}`).digest('hex').slice(0, 4)}`;
}
