/** The stored records of accounts. */
import type { Session, Token } from '../../model/account.ts';
import type { Refusal } from '../../model/refusal.ts';
import type { Rights } from '../../model/rights.ts';
import type { Site } from '../../model/site.ts';

/** An administrator without stored rights is an owner: older versions had no rights. */
export interface Admin extends Rights {
  name: string;
  /** The hash of the password, from `http/auth/password.ts`. Null: the administrator signs in by link only. */
  password: string | null;
  created: number;
}

/** A record as it is stored, under its id or name. Records of older versions have no rights. */
export type Stored<T> = Omit<T, 'id' | keyof Rights> & Partial<Rights>;
export type StoredToken = Stored<Token> & { hash: string };

export interface Link {
  name: string;
  expires: number;
}

/**
 * The record type of each table. Sites are stored under their key, administrators under their name, tokens under their
 * id, links and sessions under the hash of their secret, refusals under the key of their site or UNKNOWN_SITES.
 */
export interface AccountRecords {
  sites: Site;
  admins: Stored<Admin>;
  tokens: StoredToken;
  links: Link;
  sessions: Stored<Session>;
  refusals: Refusal[];
}

/** Key of the refusals of unknown sites. It is no site's key. */
export const UNKNOWN_SITES = '?';

export type TableName = keyof AccountRecords;

const TABLES: Record<TableName, true> = {
  sites: true,
  admins: true,
  tokens: true,
  links: true,
  sessions: true,
  refusals: true,
};

/** Every table of accounts. A record of AccountRecords that is missing here does not compile. */
export const TABLE_NAMES = Object.keys(TABLES) as readonly TableName[];

/** A session and its administrator, if they exist. */
export type SessionOwner = readonly [session: Stored<Session> | undefined, admin: Stored<Admin> | undefined];
