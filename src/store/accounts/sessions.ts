/** Changes of sessions. */
import type { Session } from '../../model/account.ts';
import type { Note } from '../../model/audit.ts';
import type { Stored } from './records.ts';
import { hashSecret, newSecret } from './secret.ts';
import type { Change, Table } from './transaction.ts';

/**
 * A session ends `slide` ms after it was last seen, which is stored every `coarse` ms. An administrator has at most `most`, so
 * that a program that signs in again and again does not fill the store.
 */
export const SESSION = { slide: 30 * 24 * 3_600_000, coarse: 5 * 60_000, most: 50 } as const;

/** Starts a session; undefined if there is no such administrator. */
export function addSession(
  name: string,
  agent: string,
  now: number,
  note: Note | undefined,
): Change<{ secret: string; session: Session } | undefined> {
  const secret = newSecret();
  const id = hashSecret(secret);
  return {
    reads: { admins: [name], sessions: 'all' },
    note,
    run(tx) {
      if (tx.admins.get(name) === undefined) return undefined;
      tx.sessions.removeExpired(now);
      for (const old of surplus(name, tx.sessions)) tx.sessions.remove(old);
      const session = { name, created: now, lastSeen: now, expires: now + SESSION.slide, agent };
      tx.sessions.put(id, session);
      tx.addNote(note);
      return { secret, session: { id, ...session } };
    },
  };
}

/** Stores that a session was seen, if that is due. The session as it is then, or undefined if it has been removed. */
export function markSessionSeen(id: string, now: number): Change<Stored<Session> | undefined> {
  return {
    reads: { sessions: [id] },
    run({ sessions }) {
      const session = sessions.get(id);
      if (session === undefined || !isSeenDue(session, now)) return session;
      const seen = seenNow(session, now);
      sessions.put(id, seen);
      return seen;
    },
  };
}

/** True if it has to be stored that the session was seen. */
export function isSeenDue({ lastSeen }: Stored<Session>, now: number): boolean {
  return now - lastSeen >= SESSION.coarse;
}

/** The session as it is after it was seen. */
export function seenNow(session: Stored<Session>, now: number): Stored<Session> {
  return { ...session, lastSeen: now, expires: now + SESSION.slide };
}

/** Ends all sessions of an administrator but one. */
export function removeSessions(name: string, except: string | undefined): Change<void> {
  return {
    reads: { sessions: 'all' },
    allowWhenFull: true,
    run: ({ sessions }) => removeSessionsOf(name, sessions, except),
  };
}

/** Within a commit: ends all sessions of an administrator but one. */
export function removeSessionsOf(name: string, sessions: Table<Stored<Session>>, except?: string): void {
  for (const [id, session] of sessions.list()) if (session.name === name && id !== except) sessions.remove(id);
}

/** The ids of sessions that end so that the administrator can have another one: those longest unseen. */
function surplus(name: string, sessions: Table<Stored<Session>>): string[] {
  const own = sessions.list().filter(([, session]) => session.name === name);
  own.sort(([, a], [, b]) => b.lastSeen - a.lastSeen);
  return own.slice(SESSION.most - 1).map(([id]) => id);
}
