/** The records of accounts, as a store keeps them. */
import type { Session, Token } from '../../model/account.ts';
import type { Rights } from '../../model/rights.ts';
import type { Site } from '../../model/site.ts';

/** An administrator stored before there were rights is an owner. */
export interface Admin extends Rights {
  name: string;
  /** What `http/auth/password.ts` made of the password. Null: the administrator signs in by link only. */
  password: string | null;
  created: number;
}

/** A record as it is stored, under its id or name. Records from before there were rights have none. */
export type Stored<T> = Omit<T, 'id' | keyof Rights> & Partial<Rights>;
export type StoredToken = Stored<Token> & { hash: string };

export interface Link {
  name: string;
  expires: number;
}

/** What each table holds, under the key of a site, the name of an administrator, the id of a token or a hash. */
export interface AccountRecords {
  sites: Site;
  admins: Stored<Admin>;
  tokens: StoredToken;
  links: Link;
  sessions: Stored<Session>;
}

export type TableName = keyof AccountRecords;

/** A session and its administrator, if they exist. */
export type SessionOwner = readonly [session: Stored<Session> | undefined, admin: Stored<Admin> | undefined];
