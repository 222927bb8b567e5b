/** Changes of one-time links. */
import type { Note } from '../../model/audit.ts';
import { LINK } from '../contract.ts';
import { hashSecret, newSecret } from './secret.ts';
import type { Change } from './transaction.ts';

/** Makes a link for an administrator. Its secret, or undefined if there is no such administrator. */
export function addLink(name: string, now: number, note: Note | undefined): Change<string | undefined> {
  const secret = newSecret();
  return {
    reads: { admins: [name], links: 'all' },
    note,
    run(tx) {
      if (tx.admins.get(name) === undefined) return undefined;
      tx.links.removeExpired(now);
      tx.links.put(hashSecret(secret), { name, expires: now + LINK.lifetime });
      tx.addNote(note);
      return secret;
    },
  };
}

/** Uses a link up. The name of its administrator, or undefined if it is unknown, used or expired. */
export function takeLink(secret: string, now: number): Change<string | undefined> {
  const id = hashSecret(secret);
  return {
    reads: { links: [id] },
    allowWhenFull: true,
    run({ links }) {
      const link = links.get(id);
      if (link === undefined) return undefined;
      links.remove(id);
      return link.expires > now ? link.name : undefined;
    },
  };
}
