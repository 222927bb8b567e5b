/** Changes of sites. */
import type { Note } from '../../model/audit.ts';
import { SELF, type Site } from '../../model/site.ts';
import { removeFromRights } from './stored-rights.ts';
import type { Change } from './transaction.ts';

/** Visits of a removed site that start within this time are removed, too, milliseconds. */
export const LEAVING_MS = 10_000;

/** The site that a new store has. */
export function demoSite(now: number): Site {
  return { key: 'demo', name: 'Demo', origins: [SELF], created: now, firstSeen: null };
}

/** Adds a site. False if the key is taken. */
export function addSite(site: Site, note: Note | undefined): Change<boolean> {
  return {
    reads: { sites: [site.key] },
    note,
    run(tx) {
      if (tx.sites.has(site.key)) return false;
      tx.sites.put(site.key, site);
      tx.addNote(note);
      return true;
    },
  };
}

/** Changes the name and origins of a site. The changed site, or undefined if there is none. */
export function changeSite(
  key: string,
  { name, origins }: Pick<Site, 'name' | 'origins'>,
  note: Note | undefined,
): Change<Site | undefined> {
  return {
    reads: { sites: [key] },
    note,
    run(tx) {
      const site = tx.sites.get(key);
      if (site === undefined) return undefined;
      const changed = { ...site, name, origins };
      tx.sites.put(key, changed);
      tx.addNote(note);
      return changed;
    },
  };
}

/**
 * Removes a site, also from all rights: that is one commit, so that nobody has half of the rights, and it is bounded by how
 * many administrators and tokens owners have added. False if there is none.
 */
export function removeSite(key: string, note: Note | undefined): Change<boolean> {
  return {
    reads: { sites: [key], admins: 'all', tokens: 'all' },
    note,
    allowWhenFull: true,
    run(tx) {
      if (tx.sites.get(key) === undefined) return false;
      tx.sites.remove(key);
      tx.removeCounts(key);
      removeFromRights(tx.admins, key);
      removeFromRights(tx.tokens, key);
      tx.addNote(note);
      return true;
    },
  };
}

/** Stores when a site had its first visitor. */
export function markSeen(key: string, now: number): Change<void> {
  return {
    reads: { sites: [key] },
    run({ sites }) {
      const site = sites.get(key);
      if (site?.firstSeen === null) sites.put(key, { ...site, firstSeen: now });
    },
  };
}
