/** Changes of administrators. */
import type { Note } from '../../model/audit.ts';
import { type Rights, rightsOf } from '../../model/rights.ts';
import type { AdminOutcome } from '../contract.ts';
import type { Admin, Stored } from './records.ts';
import { removeSessionsOf } from './sessions.ts';
import { knownRights, readsOf } from './stored-rights.ts';
import type { Change, Table } from './transaction.ts';

/** Adds an administrator without a password. False if the name is taken. */
export function addAdmin(name: string, now: number, rights: Rights, note: Note | undefined): Change<boolean> {
  return {
    reads: { ...readsOf(rights), admins: [name] },
    note,
    run(tx) {
      if (tx.admins.has(name)) return false;
      tx.admins.put(name, { name, password: null, created: now, ...knownRights(rights, tx.sites) });
      tx.addNote(note);
      return true;
    },
  };
}

/** Gives an administrator other rights. */
export function setRights(name: string, rights: Rights, note: Note | undefined): Change<AdminOutcome> {
  const staysOwner = rights.role === 'owner';
  return {
    reads: { ...readsOf(rights), admins: staysOwner ? [name] : 'all' },
    note,
    run(tx) {
      const admin = tx.admins.get(name);
      if (admin === undefined) return 'unknown';
      if (!staysOwner && isLastOwner(admin, tx.admins)) return 'last-owner';
      tx.admins.put(name, { ...admin, ...knownRights(rights, tx.sites) });
      tx.addNote(note);
      return 'done';
    },
  };
}

/** Removes an administrator with every link and session. */
export function removeAdmin(name: string, note: Note | undefined): Change<AdminOutcome> {
  return {
    reads: { admins: 'all', links: 'all', sessions: 'all' },
    note,
    allowWhenFull: true,
    run(tx) {
      const admin = tx.admins.get(name);
      if (admin === undefined) return 'unknown';
      if (isLastOwner(admin, tx.admins)) return 'last-owner';
      tx.admins.remove(name);
      for (const [id, link] of tx.links.list()) if (link.name === name) tx.links.remove(id);
      removeSessionsOf(name, tx.sessions);
      tx.addNote(note);
      return 'done';
    },
  };
}

/** Sets a hashed password; null removes it. False if there is no such administrator. */
export function setPassword(name: string, password: string | null, note: Note | undefined): Change<boolean> {
  return {
    reads: { admins: [name] },
    note,
    run(tx) {
      const admin = tx.admins.get(name);
      if (admin === undefined) return false;
      tx.admins.put(name, { ...admin, password });
      tx.addNote(note);
      return true;
    },
  };
}

/** True if nobody could manage anything without this administrator. */
function isLastOwner(admin: Stored<Admin>, admins: Table<Stored<Admin>>): boolean {
  const isOwner = (one: Stored<Admin>) => rightsOf(one).role === 'owner';
  return isOwner(admin) && admins.list().filter(([, one]) => isOwner(one)).length === 1;
}
