/**
 * What every store promises; test/store.test.ts puts an implementation through it. All processes of one
 * installation, and commands beside them, open the same store at the same time: what one has written, the
 * others read at once.
 *
 * Secrets (session ids, links, API tokens) are made here, handed out once and kept as hashes only.
 * Times are Unix ms and are given by the caller, so that a store needs no clock.
 */
import type { Session, Token } from '../protocol/account.ts';
import type { Site } from '../protocol/site.ts';

export interface Admin {
  name: string;
  /** What `http/password.ts` made of the password, or null: signs in by link only. */
  password: string | null;
  created: number;
}

/**
 * A session ends `slide` ms after it was last seen; writing that down every `coarse` ms is enough. An
 * administrator has `most` at once, so that a program that signs in again and again fills nothing.
 */
export const SESSION = { slide: 30 * 24 * 3_600_000, coarse: 5 * 60_000, most: 50 } as const;
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

export interface Store {
  /** 32 bytes made once for this store; signs what must hold across workers and restarts. */
  secret(): Promise<Buffer>;

  /** Where the server that uses this store listens, as `tcp://host:port`; commands tell people. */
  addresses(): Promise<string[]>;
  noteAddresses(addresses: readonly string[]): Promise<void>;

  sites(): Promise<Site[]>;
  site(key: string): Promise<Site | undefined>;
  /** Adds a site. False if there is one of this key. */
  addSite(site: Site): Promise<boolean>;
  /** Gives a site another name and other origins. The site as it is now, or undefined if there is none. */
  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>): Promise<Site | undefined>;
  removeSite(key: string): Promise<boolean>;
  /** Notes a site's first visitor; later ones cost a read. */
  markSeen(key: string, now: number): Promise<void>;

  admins(): Promise<Admin[]>;
  admin(name: string): Promise<Admin | undefined>;
  /** Adds an administrator without a password. False if there is one of this name. */
  addAdmin(name: string, now: number): Promise<boolean>;
  /** Removes an administrator with every link and session. False if there is none. */
  removeAdmin(name: string): Promise<boolean>;
  /** Null takes the password away. False if there is no such administrator. */
  setPassword(name: string, password: string | null): Promise<boolean>;

  /** Makes a one-time link for an administrator and returns its secret part; undefined if there is none. */
  addLink(name: string, now: number): Promise<string | undefined>;
  /** Uses a link up. The administrator's name, to exactly one caller; undefined if used, expired or unknown. */
  takeLink(secret: string, now: number): Promise<string | undefined>;

  /**
   * Begins a session, and ends the one longest unseen if there are too many; undefined if there is no such
   * administrator. `secret` goes into the cookie.
   */
  addSession(name: string, agent: string, now: number): Promise<{ secret: string; session: Session } | undefined>;
  /** The session of this cookie, and slides its end. */
  session(secret: string, now: number): Promise<Session | undefined>;
  sessions(now: number): Promise<Session[]>;
  removeSession(id: string): Promise<boolean>;
  /** Ends an administrator's sessions, but for the one named. */
  removeSessions(name: string, except: string | undefined): Promise<void>;

  addToken(name: string, now: number): Promise<{ secret: string; token: Token }>;
  /** The token of this secret, and notes that it was used. */
  token(secret: string, now: number): Promise<Token | undefined>;
  tokens(): Promise<Token[]>;
  removeToken(id: string): Promise<boolean>;

  /** True as long as the session or token named still opens doors. `env` always does. */
  valid(credential: Credential, now: number): Promise<boolean>;

  /**
   * Counts one attempt against all of these, unless one is at its limit: then none is counted, and the
   * answer is how many ms to wait. 0: go ahead.
   */
  countAttempt(attempts: readonly Attempt[], now: number): Promise<number>;
  /** Takes a counted attempt back, because it was a good one. */
  forgiveAttempt(attempts: readonly Attempt[], now: number): Promise<void>;

  /** Writes out what is under way. Closing twice is safe. */
  close(): Promise<void>;
}

/**
 * Why a store could not be opened. `message` is one line for people.
 * no-access: the folder cannot be read or written · not-a-store: the file there is something else ·
 * newer-store: written by a later version
 */
export class StoreError extends Error {
  readonly code: 'no-access' | 'not-a-store' | 'newer-store';

  constructor(code: StoreError['code'], message: string) {
    super(message);
    this.name = 'StoreError';
    this.code = code;
  }
}

/** Names of administrators: letters, digits and `. _ - @`, so that they are safe in tables, logs and addresses. */
export const ADMIN_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._@-]{0,63}$/u;
