/** What is decided on administrators, sessions, tokens and options in the same way wherever they are kept. */
import { createHmac } from 'node:crypto';
import type { Session, Token } from '../../model/account.ts';
import { type Rights, rightsOf } from '../../model/rights.ts';
import { SELF, type Site } from '../../model/site.ts';

/** One that was kept before there were rights is an owner. */
export interface Admin extends Rights {
  name: string;
  /** What `http/auth/password.ts` made of the password, or null: signs in by link only. */
  password: string | null;
  created: number;
}

/**
 * A session ends `slide` ms after it was last seen; writing that down every `coarse` ms is enough. An
 * administrator has `most` at once, so that a program that signs in again and again fills nothing.
 */
export const SESSION = { slide: 30 * 24 * 3_600_000, coarse: 5 * 60_000, most: 50 } as const;

/** As it is stored, under its id or name. Records from before there were rights have none. */
export type Stored<T> = Omit<T, 'id' | keyof Rights> & Partial<Rights>;
export type StoredToken = Stored<Token> & { hash: string };

export interface Link {
  name: string;
  expires: number;
}

/** Visits of a removed site that begin within so long still go with it, milliseconds. */
export const LEAVING_MS = 10_000;

/** The site that a store begins with. */
export function demoSite(now: number): Site {
  return { key: 'demo', name: 'Demo', origins: [SELF], created: now, firstSeen: null };
}

export function withRights<T extends Partial<Rights>>(record: T): T & Rights {
  return { ...record, ...rightsOf(record) };
}

/** What is shown of a token that is kept. */
export function tokenOf(id: string, { hash, ...token }: StoredToken): Token {
  return { id, ...withRights(token) };
}

/** Rights as they are kept: on sites that there are. */
export function knownRights(rights: Rights, isSite: (key: string) => boolean): Rights {
  const { role, sites } = rightsOf(rights);
  return { role, sites: sites && [...new Set(sites)].filter(isSite) };
}

/** A record without a site in its rights, or undefined if it does not have it. */
export function withoutSite<T extends Partial<Rights>>(record: T, site: string): T | undefined {
  return record.sites?.includes(site) ? { ...record, sites: record.sites.filter((one) => one !== site) } : undefined;
}

export function isLastOwner(admin: Stored<Admin>, all: Iterable<Stored<Admin>>): boolean {
  const isOwner = (one: Stored<Admin>) => rightsOf(one).role === 'owner';
  return isOwner(admin) && [...all].filter(isOwner).length === 1;
}

export function newSession(name: string, agent: string, now: number): Stored<Session> {
  return { name, created: now, lastSeen: now, expires: now + SESSION.slide, agent };
}

/** A session that was seen now. */
export function seenNow<T extends Stored<Session>>(session: T, now: number): T {
  return { ...session, lastSeen: now, expires: now + SESSION.slide };
}

/** Ids of an administrator's sessions that are to end before another one begins: those longest unseen. */
export function surplus(name: string, sessions: Iterable<readonly [id: string, Stored<Session>]>): string[] {
  const own = [...sessions].filter(([, session]) => session.name === name);
  own.sort(([, a], [, b]) => b.lastSeen - a.lastSeen);
  return own.slice(SESSION.most - 1).map(([id]) => id);
}

/** What is kept of options: hashes by their names. */
export function hashOptions(
  secret: Buffer,
  options: Readonly<Record<string, unknown>>,
): [name: string, hash: string][] {
  return Object.entries(options).map(([name, value]) => [
    name,
    createHmac('sha256', secret)
      .update(JSON.stringify([name, value]))
      .digest('base64url'),
  ]);
}

/** Names of the options that are others than before. One that an earlier version did not have is none that was changed. */
export function changedOptions(
  hashes: readonly (readonly [name: string, hash: string])[],
  before: (name: string) => string | undefined,
): string[] {
  return hashes.filter(([name, hash]) => (before(name) ?? hash) !== hash).map(([name]) => name);
}
