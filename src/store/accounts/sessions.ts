/** When sessions end. */
import type { Session } from '../../model/account.ts';
import type { Stored } from './records.ts';
import type { Table } from './transaction.ts';

/**
 * A session ends `slide` ms after it was last seen. The time it was last seen is updated at most every `coarse` ms. An
 * administrator has at most `most` sessions, so that a program that signs in again and again does not fill the store.
 */
export const SESSION = { slide: 30 * 24 * 3_600_000, coarse: 5 * 60_000, most: 50 } as const;

export function newSession(name: string, agent: string, now: number): Stored<Session> {
  return { name, created: now, lastSeen: now, expires: now + SESSION.slide, agent };
}

/** True if the time that the session was last seen has to be updated. */
export function isSeenDue({ lastSeen }: Stored<Session>, now: number): boolean {
  return now - lastSeen >= SESSION.coarse;
}

/** Returns the session with `now` as the time it was last seen. */
export function seenNow(session: Stored<Session>, now: number): Stored<Session> {
  return { ...session, lastSeen: now, expires: now + SESSION.slide };
}

/** Within a commit: ends all sessions of an administrator, except the one with the id `except`. */
export function removeSessionsOf(name: string, sessions: Table<Stored<Session>>, except?: string): void {
  for (const [id, session] of sessions.list()) if (session.name === name && id !== except) sessions.remove(id);
}

/** Within a commit: ends the least recently seen sessions, so that there is room for a new one. */
export function removeSurplus(name: string, sessions: Table<Stored<Session>>): void {
  const own = sessions.list().filter(([, session]) => session.name === name);
  own.sort(([, a], [, b]) => b.lastSeen - a.lastSeen);
  for (const [id] of own.slice(SESSION.most - 1)) sessions.remove(id);
}
