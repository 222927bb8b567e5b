/** Changes of API tokens. */
import type { Token } from '../../model/account.ts';
import type { Note } from '../../model/audit.ts';
import type { Rights } from '../../model/rights.ts';
import { TOKEN } from '../contract.ts';
import type { StoredToken } from './records.ts';
import { hashSecret, newToken } from './secret.ts';
import { knownRights, readsOf, withRights } from './stored-rights.ts';
import type { Change } from './transaction.ts';

/** Makes a token. `secret` is what its owner writes. */
export function addToken(
  name: string,
  now: number,
  rights: Rights,
  note: Note | undefined,
): Change<{ secret: string; token: Token }> {
  const { id, secret } = newToken();
  return {
    reads: readsOf(rights),
    note,
    run(tx) {
      const token = { name, created: now, lastUsed: null, ...knownRights(rights, tx.sites) };
      tx.tokens.put(id, { ...token, hash: hashSecret(secret) });
      tx.addNote(note);
      return { secret, token: { id, ...token } };
    },
  };
}

/** What is shown of a stored token. */
export function tokenOf(id: string, { hash, ...token }: StoredToken): Token {
  return { id, ...withRights(token) };
}

/** Stores that a token was used, if that is due. */
export function markTokenUsed(id: string, now: number): Change<void> {
  return {
    reads: { tokens: [id] },
    run({ tokens }) {
      const token = tokens.get(id);
      if (token !== undefined && isUseDue(token, now)) tokens.put(id, { ...token, lastUsed: now });
    },
  };
}

/** True if it has to be stored that the token was used. */
export function isUseDue({ lastUsed }: StoredToken, now: number): boolean {
  return lastUsed === null || now - lastUsed >= TOKEN.coarse;
}
