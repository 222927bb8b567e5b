/**
 * The contract of every store; test/store.test.ts tests each implementation. All processes of an installation, and
 * commands, open the same store at the same time: what one has written, the others read at once.
 *
 * Secrets (session ids, links, API tokens) are created here, returned once, and stored only as hashes. Times are Unix
 * ms and are given by the caller, so that a store needs no clock.
 *
 * Where a method takes a `note`, the note is added to the audit trail in the same commit as the change.
 */
import type { Session, Token } from '../model/account.ts';
import type { AuditEntry, AuditNote, AuditQuery } from '../model/audit.ts';
import type { Part } from '../model/query.ts';
import type { Refusal } from '../model/refusal.ts';
import type { Rights } from '../model/rights.ts';
import type { Site } from '../model/site.ts';
import type { NodeMinutes, SiteMinute } from '../protocol/peer.ts';
import { isAwayCode } from '../server/raw-problem.ts';
import type { AccountSnapshot, HitGroup } from './accounts/account-snapshot.ts';
import type { Admin } from './accounts/records.ts';
import type { Archive } from './archive.ts';

/** How long a one-time link is valid, milliseconds. */
export const LINK = { lifetime: 15 * 60_000 } as const;
/** The time of a token's last use is stored at most this often, milliseconds. */
export const TOKEN = { coarse: 5 * 60_000 } as const;

/** Attempts to sign in are counted per address and per name, `limit` of them within `window` ms of the first. */
export interface Attempt {
  kind: 'address' | 'name';
  /** Stored only as a keyed hash. */
  value: string;
  limit: number;
  window: number;
}

/**
 * Identifies what a stream was opened with, so that it ends when that is revoked: `session:<id>`, `token:<id>` or
 * `env`.
 */
export type Credential = string;

/** last-owner: nothing was changed, because no owner would be left. */
export type AdminOutcome = 'done' | 'unknown' | 'last-owner';

/** Why a visit was not counted. busy: too many visits are waiting */
export type HitRefusal = 'unknown-site' | 'too-many-pages' | 'busy';

/** Maximum number of counted pages of a site, and of visits of one process that wait for a commit. */
export const HITS = { pages: 100_000, waiting: 5000 } as const;

/** The page-visit counter. `model/page.ts` says what a page is. */
export interface Hits {
  /**
   * Counts one visit. Returns the new total, which no other visit gets, or why it was not counted. Throws if the page
   * is invalid.
   */
  hit(site: string, page: string): Promise<number | HitRefusal>;
  /** Returns the visits so far; 0 if the page is unknown. */
  hits(site: string, page: string): Promise<number>;
  /** Returns the totals of all counted pages, by site and page. */
  allHits(): Promise<HitGroup[]>;
  /** Removes the total of a page, or (undefined) of all pages of a site. Returns how many there were. */
  removeHits(site: string, page: string | undefined, note?: AuditNote): Promise<number>;
}

export interface Store extends Hits {
  /** The record of visits. */
  readonly archive: Archive;

  /**
   * Returns 32 bytes that are created once for this store. They sign what must stay valid across workers and restarts.
   */
  secret(): Promise<Buffer>;
  /** Returns the id of this store, the same for all who open it. A replacement has another id. See `storeId`. */
  id(): Promise<string>;
  /** Counts a start of a server with this store. Returns its number, from 1, which no other start has. */
  nextRun(): Promise<number>;

  /** Returns where this node's server listens, as `tcp://host:port`; commands show it. */
  addresses(): Promise<string[]>;
  noteAddresses(addresses: readonly string[]): Promise<void>;

  /**
   * Returns this node's name: letters, digits, `-` and `_`. It stays the same as long as the data folder does. Throws
   * StoreError.
   */
  machine(): Promise<string>;
  /**
   * Stores a node's figures of minutes for an hour, also for NO_SITE. Unknown sites are ignored. Stored figures only
   * grow, so the call may be repeated. If it fails, some may be stored.
   */
  putMinutes(machine: string, minutes: readonly SiteMinute[], now: number): Promise<void>;
  /** Returns the nodes' figures of a site in minutes from `from` on, oldest first: the newest MAX_MINUTES. */
  minutes(site: string, from: number): Promise<NodeMinutes[]>;

  sites(): Promise<Site[]>;
  site(key: string): Promise<Site | undefined>;
  /** Adds a site. Returns false if the key exists. */
  addSite(site: Site, note?: AuditNote): Promise<boolean>;
  /** Changes name and origins of a site. Returns the changed site, or undefined if it does not exist. */
  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>, note?: AuditNote): Promise<Site | undefined>;
  /**
   * Removes a site with its page-visit counts and its last hour. Its record is removed in the background. Returns false
   * if the site does not exist.
   */
  removeSite(key: string, now: number, note?: AuditNote): Promise<boolean>;
  /** Notes a site's first visitor; for later ones this costs one read. */
  markSeen(key: string, now: number): Promise<void>;
  /**
   * Adds refused visitors to those of their site, or of unknown sites; `addRefusals` says which are kept. Those of a site
   * that was removed are ignored. Does not fail: they only help to set up a site.
   */
  noteRefusals(refusals: readonly Refusal[], now: number): Promise<void>;
  /** Returns the refused visitors of all sites, the latest of each first, without those that a change has mended. */
  refusals(now: number): Promise<Refusal[]>;

  admins(): Promise<Admin[]>;
  admin(name: string): Promise<Admin | undefined>;
  /**
   * Adds an administrator without a password, by default an owner. Returns false if the name exists. Here and below,
   * unknown sites are left out of rights, and a removed site is removed from all rights: a new site with its key is
   * another site.
   */
  addAdmin(name: string, now: number, rights?: Rights, note?: AuditNote): Promise<boolean>;
  /** Changes the rights of an administrator, at once also for open sessions and streams. */
  setRights(name: string, rights: Rights, note?: AuditNote): Promise<AdminOutcome>;
  /** Removes an administrator with every link and session. */
  removeAdmin(name: string, note?: AuditNote): Promise<AdminOutcome>;
  /** Sets or (null) removes a password. Returns false if the administrator does not exist. */
  setPassword(name: string, password: string | null, note?: AuditNote): Promise<boolean>;

  /**
   * Creates a one-time link for an administrator and returns its secret part, or undefined if the administrator does
   * not exist.
   */
  addLink(name: string, now: number, note?: AuditNote): Promise<string | undefined>;
  /**
   * Uses a link. Returns the administrator's name, to exactly one caller; undefined if the link was used, has expired
   * or is unknown.
   */
  takeLink(secret: string, now: number): Promise<string | undefined>;

  /**
   * Starts a session, and ends the least recently used one if there are too many. Returns undefined if the
   * administrator does not exist. `secret` is the value of the cookie.
   */
  addSession(
    name: string,
    agent: string,
    now: number,
    note?: AuditNote,
  ): Promise<{ secret: string; session: Session } | undefined>;
  /** Returns the id of the session with this cookie, without access to the store. */
  sessionId(secret: string): string;
  /** Returns the session of this cookie, and extends it. A remote store does the latter a moment later. */
  session(secret: string, now: number): Promise<Session | undefined>;
  sessions(now: number): Promise<Session[]>;
  removeSession(id: string, note?: AuditNote): Promise<boolean>;
  /** Ends an administrator's sessions, except the one named. */
  removeSessions(name: string, except: string | undefined): Promise<void>;

  /** Creates a token, by default with an owner's rights. */
  addToken(name: string, now: number, rights?: Rights, note?: AuditNote): Promise<{ secret: string; token: Token }>;
  /** Returns the token of this secret, and notes its use, as for sessions. */
  token(secret: string, now: number): Promise<Token | undefined>;
  tokens(): Promise<Token[]>;
  removeToken(id: string, note?: AuditNote): Promise<boolean>;

  /** Returns the rights of a session or token while it is valid. `env` is an owner. */
  rights(credential: Credential, now: number): Promise<Rights | undefined>;

  /**
   * Counts one attempt against all of these, unless one is at its limit: then none is counted. Returns how many ms to
   * wait; 0: go ahead.
   */
  countAttempt(attempts: readonly Attempt[], now: number): Promise<number>;
  /** Takes back a counted attempt that succeeded. */
  forgiveAttempt(attempts: readonly Attempt[], now: number): Promise<void>;

  /** Adds an entry to the audit trail that is no change of the store. */
  note(note: AuditNote): Promise<void>;
  /**
   * Like `note`, for a command that a signal may end at any time: when this has returned, no pending work keeps its
   * process alive.
   */
  noteNow(note: AuditNote): Promise<void>;
  /**
   * Returns the audit trail, newest first, with cursors in the form of CURSOR. At least the newest AUDIT.most entries
   * are stored until they are older than AUDIT.age; the others are removed gradually as new ones arrive. Repetitions of
   * REPEATED actions are counted on the existing entry. Reads a bounded number of entries, so a part may hold few and
   * still have a next one.
   */
  audit(query: AuditQuery): Promise<Part<AuditEntry>>;
  /**
   * Notes the options that this node's server starts with. The names of options that changed since the last start are
   * added to the audit trail. Of values, only keyed hashes are stored.
   */
  noteOptions(options: Readonly<Record<string, unknown>>, now: number): Promise<void>;

  /** Returns everything stored besides the record. */
  accountSnapshot(): Promise<AccountSnapshot>;
  /**
   * Takes over what another store has besides the record, and its secret, so that sessions, tokens and visitors stay
   * valid. Repeating it changes nothing. Returns false, without an effect, if this store belongs to another
   * installation: it has administrators or visits.
   */
  adopt(snapshot: AccountSnapshot): Promise<boolean>;

  /** Completes pending writes. Closing twice is safe. */
  close(): Promise<void>;
}

/**
 * Why a store could not be opened or written. `message` is one line for people. no-store: it does not exist, and this
 * call may not create it · no-access: the folder cannot be read or written · not-a-store: the file there is something
 * else · damaged: its file is broken; restore a backup · moved: its file was moved away or replaced while it was open ·
 * newer-store: a later version wrote it · full: there is no room for more · disk-error: the disk refuses writes for
 * another reason · busy: too many requests at once · unreachable: Redis does not answer · refused: Redis refuses ·
 * unsafe: Redis may throw away acked data
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
 * Returns true if something was not done because Redis does not answer or refuses, or because the store's file is not
 * in its place.
 */
export function isUnreachable(error: unknown): boolean {
  return error instanceof StoreError && isAwayCode(error.code);
}
