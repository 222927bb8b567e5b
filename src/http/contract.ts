/** What the routes need of the parts beside them; worker.ts passes it in. */
import type { Socket } from 'node:net';
import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import type { Session, Token } from '../protocol/account.ts';
import type { Beacon, BeaconReply } from '../protocol/post.ts';
import type { StreamRequest } from '../protocol/relay.ts';
import type { Site } from '../protocol/site.ts';

export interface HttpOptions {
  config: Config;
  logger: Logger;
  store: Records;
  /** Of Fieldmouse. */
  version: string;
  /** Folder of what browsers load; by default `dist/public` of this package. */
  publicFolder?: string;
  /** False while this worker must get no new requests. */
  ready(): boolean;
  /**
   * Takes over the socket of an authenticated request for a stream. Nothing was written to it and nothing
   * here touches it again.
   */
  openStream(request: StreamRequest, socket: Socket): void;
  /** Takes frames that came by POST. */
  beacon(request: Beacon): Promise<BeaconReply>;
}

/** A person or program that was recognised. */
export interface Identity {
  /** Of the administrator or of the token. */
  name: string;
  via: 'session' | 'token';
  /** As `StreamRequest.credential`. */
  credential: string;
  /** Id of the session; undefined for a token. */
  session: string | undefined;
  /** Unix ms; null: does not expire. */
  expires: number | null;
}

interface Admin {
  name: string;
  password: string | null;
}

export interface Attempt {
  kind: 'address' | 'name';
  value: string;
  limit: number;
  /** Milliseconds. */
  window: number;
}

/** The part of the store that routes use; `store/contract.ts` says what each promises. */
export interface Records {
  sites(): Promise<Site[]>;
  site(key: string): Promise<Site | undefined>;
  addSite(site: Site): Promise<boolean>;
  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>): Promise<Site | undefined>;
  removeSite(key: string): Promise<boolean>;
  admin(name: string): Promise<Admin | undefined>;
  setPassword(name: string, password: string): Promise<boolean>;
  takeLink(secret: string, now: number): Promise<string | undefined>;
  addSession(name: string, agent: string, now: number): Promise<{ secret: string; session: Session } | undefined>;
  session(secret: string, now: number): Promise<Session | undefined>;
  sessions(now: number): Promise<Session[]>;
  removeSession(id: string): Promise<boolean>;
  removeSessions(name: string, except: string | undefined): Promise<void>;
  addToken(name: string, now: number): Promise<{ secret: string; token: Token }>;
  token(secret: string, now: number): Promise<Token | undefined>;
  tokens(): Promise<Token[]>;
  removeToken(id: string): Promise<boolean>;
  countAttempt(attempts: readonly Attempt[], now: number): Promise<number>;
  forgiveAttempt(attempts: readonly Attempt[], now: number): Promise<void>;
}
