/**
 * What every store promises; test/store.test.ts puts an implementation through it. All processes of one
 * installation, and commands beside them, open the same store at the same time: what one has written, the
 * others read at once.
 *
 * Secrets (session ids, links, API tokens) are made here, handed out once and kept as hashes only.
 * Times are Unix ms and are given by the caller, so that a store needs no clock.
 *
 * Where a method takes a `note`, that is in the audit trail if, and as soon as, the change is: in the same commit.
 */
import type { Session, Token } from '../model/account.ts';
import type { AuditEntry, AuditNote, AuditQuery } from '../model/audit.ts';
import type { Part } from '../model/query.ts';
import type { Rights } from '../model/rights.ts';
import type { Site } from '../model/site.ts';
import type { NodeMinutes, SiteMinute } from '../protocol/peer.ts';
import { isAwayCode } from '../server/raw-problem.ts';
import type { AccountSnapshot, HitGroup } from './accounts/account-snapshot.ts';
import type { Admin } from './accounts/records.ts';
import type { Archive } from './archive.ts';

/** How long a one-time link holds. */
export const LINK = { lifetime: 15 * 60_000 } as const;
export const TOKEN = { coarse: 5 * 60_000 } as const;

/** Attempts to sign in are counted per address and per name, `limit` of them within `window` ms of the first. */
export interface Attempt {
  kind: 'address' | 'name';
  /** Is never kept as it is. */
  value: string;
  limit: number;
  window: number;
}

/** Stops a stream when what it was opened with is revoked: `session:<id>`, `token:<id>` or `env`. */
export type Credential = string;

/** last-owner: nothing was done, since nobody could manage anything any more. */
export type AdminOutcome = 'done' | 'unknown' | 'last-owner';

/** Why a visit was not counted. busy: too many are waiting to be written */
export type HitRefusal = 'unknown-site' | 'too-many-pages' | 'busy';

/** A site may have so many different pages, and so many visits of one process may wait for a commit. */
export const HITS = { pages: 100_000, waiting: 5000 } as const;

/** The page-visit counter. `model/page.ts` says what a page is. */
export interface Hits {
  /** Counts one visit. The new total, which is no other visit's, or why it was not counted. Throws for what is no page. */
  hit(site: string, page: string): Promise<number | HitRefusal>;
  /** Visits so far; 0 for what is unknown. */
  hits(site: string, page: string): Promise<number>;
  /** Totals of all pages that were counted, by site and page. */
  allHits(): Promise<HitGroup[]>;
  /** Forgets the total of a page, or (undefined) of all pages of a site. How many there were. */
  removeHits(site: string, page: string | undefined, note?: AuditNote): Promise<number>;
}

export interface Store extends Hits {
  /** Visits and what they did. */
  readonly archive: Archive;

  /** 32 bytes made once for this store; signs what must hold across workers and restarts. */
  secret(): Promise<Buffer>;
  /** Which store this is: the same for all who open it. One that is put in its place has another. `storeId` makes it. */
  id(): Promise<string>;
  /** Counts a start of a server with this store. Its number, from 1 on, which no other start has. */
  nextRun(): Promise<number>;

  /** Where the server of this machine that uses this store listens, as `tcp://host:port`; commands tell people. */
  addresses(): Promise<string[]>;
  noteAddresses(addresses: readonly string[]): Promise<void>;

  /** This machine's name, the same at each start as long as its data folder is kept: letters, digits, `-` and `_`. Throws StoreError. */
  machine(): Promise<string>;
  /**
   * Keeps what a machine had in minutes, for an hour; of NO_SITE, too. Of sites that are not there nothing is kept. What is there already is raised, so that it
   * may be done again; where it fails, some may be kept.
   */
  putMinutes(machine: string, minutes: readonly SiteMinute[], now: number): Promise<void>;
  /** What machines had of a site in minutes that began at `from` or later, oldest first: the newest MOST_MINUTES. */
  minutes(site: string, from: number): Promise<NodeMinutes[]>;

  sites(): Promise<Site[]>;
  site(key: string): Promise<Site | undefined>;
  /** Adds a site. False if there is one of this key. */
  addSite(site: Site, note?: AuditNote): Promise<boolean>;
  /** Gives a site another name and other origins. The site as it is now, or undefined if there is none. */
  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>, note?: AuditNote): Promise<Site | undefined>;
  /** Removes a site with its counts of visits and its last hour; its record goes in the background. False if there is none. */
  removeSite(key: string, now: number, note?: AuditNote): Promise<boolean>;
  /** Notes a site's first visitor; later ones cost a read. */
  markSeen(key: string, now: number): Promise<void>;

  admins(): Promise<Admin[]>;
  admin(name: string): Promise<Admin | undefined>;
  /**
   * Adds an administrator without a password, an owner unless said otherwise. False if there is one of this name. Here and
   * below, sites that are not there are left out of rights, and a site that is removed goes out of all: another one
   * of its key is another site.
   */
  addAdmin(name: string, now: number, rights?: Rights, note?: AuditNote): Promise<boolean>;
  /** Gives an administrator other rights, which sessions and streams that are open have at once. */
  setRights(name: string, rights: Rights, note?: AuditNote): Promise<AdminOutcome>;
  /** Removes an administrator with every link and session. */
  removeAdmin(name: string, note?: AuditNote): Promise<AdminOutcome>;
  /** Null takes the password away. False if there is no such administrator. */
  setPassword(name: string, password: string | null, note?: AuditNote): Promise<boolean>;

  /** Makes a one-time link for an administrator and returns its secret part; undefined if there is none. */
  addLink(name: string, now: number, note?: AuditNote): Promise<string | undefined>;
  /** Uses a link up. The administrator's name, to exactly one caller; undefined if used, expired or unknown. */
  takeLink(secret: string, now: number): Promise<string | undefined>;

  /**
   * Begins a session, and ends the one longest unseen if there are too many; undefined if there is no such
   * administrator. `secret` goes into the cookie.
   */
  addSession(
    name: string,
    agent: string,
    now: number,
    note?: AuditNote,
  ): Promise<{ secret: string; session: Session } | undefined>;
  /** The id that the session of this cookie has, if there is one; asks nobody. */
  sessionId(secret: string): string;
  /** The session of this cookie, and slides its end. A store that is far away does so a moment later. */
  session(secret: string, now: number): Promise<Session | undefined>;
  sessions(now: number): Promise<Session[]>;
  removeSession(id: string, note?: AuditNote): Promise<boolean>;
  /** Ends an administrator's sessions, but for the one named. */
  removeSessions(name: string, except: string | undefined): Promise<void>;

  /** Makes a token, an owner's unless said otherwise. */
  addToken(name: string, now: number, rights?: Rights, note?: AuditNote): Promise<{ secret: string; token: Token }>;
  /** The token of this secret, and notes that it was used, as with sessions. */
  token(secret: string, now: number): Promise<Token | undefined>;
  tokens(): Promise<Token[]>;
  removeToken(id: string, note?: AuditNote): Promise<boolean>;

  /** What the session or token named may do, as long as it still opens doors. `env` is an owner. */
  rights(credential: Credential, now: number): Promise<Rights | undefined>;

  /**
   * Counts one attempt against all of these, unless one is at its limit: then none is counted, and the
   * answer is how many ms to wait. 0: go ahead.
   */
  countAttempt(attempts: readonly Attempt[], now: number): Promise<number>;
  /** Takes a counted attempt back, because it was a good one. */
  forgiveAttempt(attempts: readonly Attempt[], now: number): Promise<void>;

  /** Puts something into the audit trail that is no change of the store. */
  note(note: AuditNote): Promise<void>;
  /** As `note`, for a command that a signal may end at any time: when this has returned, nothing under way keeps its process from ending. */
  noteNow(note: AuditNote): Promise<void>;
  /**
   * The audit trail, newest first; cursors are as CURSOR says. At least the newest AUDIT.most entries are kept, until they are older
   * than AUDIT.age; what is beyond goes some at a time, when further ones come. The same again of REPEATED deeds counts on
   * the entry that there is. Looks at a bounded number of entries, so that a part may hold few and still have a next.
   */
  audit(query: AuditQuery): Promise<Part<AuditEntry>>;
  /**
   * Notes what options the server of this machine starts with. The names of those that are others than last time are in the audit trail; of values only
   * keyed hashes are kept.
   */
  noteOptions(options: Readonly<Record<string, unknown>>, now: number): Promise<void>;

  /** All that it keeps besides the record. */
  accountSnapshot(): Promise<AccountSnapshot>;
  /**
   * Takes over what another store keeps besides the record, and its secret, so that sessions, tokens and visitors go on. Done again it
   * changes nothing. False, and nothing is done, if this is another installation's: it has administrators or visits.
   */
  adopt(snapshot: AccountSnapshot): Promise<boolean>;

  /** Writes out what is under way. Closing twice is safe. */
  close(): Promise<void>;
}

/**
 * Why a store could not be opened or written. `message` is one line for people.
 * no-store: there is none, and this call may not make one · no-access: the folder cannot be read or written ·
 * not-a-store: the file there is something else · damaged: its file is broken; restore a backup ·
 * moved: its file was moved away or replaced while it was open · newer-store: a later version wrote it ·
 * full: there is no room for more · disk-error: the disk takes no writes for another reason ·
 * busy: too much is asked at once · unreachable: the server that keeps it does not answer ·
 * refused: that server answers, and refuses · unsafe: that server may throw away what it was given
 */
export class StoreError extends Error {
  readonly code: (typeof CODES)[number];

  constructor(code: StoreError['code'], message: string) {
    super(message);
    this.name = 'StoreError';
    this.code = code;
  }
}

const CODES = [
  'no-store',
  'no-access',
  'not-a-store',
  'damaged',
  'moved',
  'newer-store',
  'full',
  'disk-error',
  'busy',
  'unreachable',
  'refused',
  'unsafe',
] as const;

/**
 * True of what was not done since the server that keeps the store does not answer, or refuses, or since its file is not
 * in its place.
 */
export function isUnreachable(error: unknown): boolean {
  return error instanceof StoreError && isAwayCode(error.code);
}
