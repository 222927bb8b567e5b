/** Identifies the store in a Redis. Every process checks this before it trusts a connection. */
import type { ConnectionCheck } from '../../redis/connection.ts';
import { RedisError } from '../../redis/error.ts';
import { commonKey } from '../../redis/keys.ts';
import { storeId } from '../accounts/secret.ts';

export const META_KEY = commonKey('meta');

/**
 * Returns a check that passes while Redis at `where` holds a store with one of these ids. The set may change meanwhile.
 */
export function checkFor(where: string, ids: ReadonlySet<string>): ConnectionCheck {
  return async (ask) => {
    const secret = await ask<string | null>(META_KEY, 'HGET', META_KEY, 'secret');
    if (secret === null) throw new RedisError('other-store', lostText(where));
    const found = storeId(Buffer.from(secret, 'base64url'));
    if (!ids.has(found)) throw new RedisError('other-store', otherText(where, found, [...ids].at(-1) ?? ''));
  };
}

const NEXT =
  'nothing is stored, and open tabs wait until that store is back; to continue without it, restart every server';

function lostText(where: string): string {
  return `Redis at ${where} has lost its data: sites, administrators and the record are gone. ${capital(NEXT)}`;
}

function otherText(where: string, found: string, own: string): string {
  return `Redis at ${where} holds another store (${found}) than the one this server uses (${own}): ${NEXT}`;
}

function capital(text: string): string {
  return text[0]?.toUpperCase() + text.slice(1);
}
