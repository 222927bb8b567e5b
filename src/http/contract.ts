/** What the routes need of other parts; worker.ts passes it in. */
import type { Socket } from 'node:net';
import type { Config } from '../config/config.ts';
import type { Logger } from '../log/logger.ts';
import type { Session, Token } from '../model/account.ts';
import type { AuditEntry, AuditNote, AuditQuery } from '../model/audit.ts';
import type { Heat } from '../model/heat.ts';
import type { Days, HeatQuery, Part, Run, VisitQuery, VisitRuns } from '../model/query.ts';
import type { Refusal } from '../model/refusal.ts';
import type { Rights } from '../model/rights.ts';
import type { Site } from '../model/site.ts';
import type { DayCounts, PageCounts, Visit } from '../model/visit.ts';
import type { StreamRequest, TroubleName } from '../protocol/ipc.ts';
import type { Past } from '../protocol/peer.ts';
import type { Beacon, BeaconReply } from '../protocol/post.ts';

export interface HttpOptions {
  config: Config;
  logger: Logger;
  store: Records;
  archive: RecordArchive;
  /** The version of Fieldmouse. */
  version: string;
  /** Folder of the files for browsers; the default is `dist/public` of this package. */
  publicFolder?: string;
  /** False while this worker must not get new requests. */
  ready(): boolean;
  /**
   * Takes over the socket of an authenticated request for a stream. Nothing has been written to it, and nothing here
   * uses it afterwards.
   */
  openStream(request: StreamRequest, socket: Socket, past: Past | null): void;
  /**
   * The stored minutes of a site's last hour, for its streams; null if there are none, or the store does not answer in
   * time.
   */
  past(site: string): Promise<Past | null>;
  /** The number of visitors on each page of a site now; undefined if the primary does not answer in time. */
  present(site: string): Promise<ReadonlyMap<string, number> | undefined>;
  /** Why the server is degraded; empty if it is not; undefined if the primary does not answer. */
  health(): Promise<readonly TroubleName[] | undefined>;
  /** The metrics of all processes in the Prometheus format; undefined if the primary does not answer in time. */
  metrics(): Promise<string | undefined>;
  /** Handles frames that came by POST. */
  beacon(request: Beacon): Promise<BeaconReply>;
  /** Counts a page visit. Resolves with the new total when it is on disk, or with why it was not counted. */
  countHit(site: string, page: string): Promise<number | 'unknown-site' | 'too-many-pages' | 'busy'>;
  /** Notes that a request about a site, or an unknown key, was refused with this problem code. */
  refused(site: string, origin: string | undefined, code: string): void;
}

/** An authenticated person or program. */
export interface Identity {
  /** The name of the administrator or of the token. */
  name: string;
  via: 'session' | 'token';
  /** See `StreamRequest.credential`. */
  credential: string;
  rights: Rights;
  /** Id of the session; undefined for a token. */
  session: string | undefined;
  /** Unix ms; null: does not expire. */
  expires: number | null;
}

interface Admin extends Rights {
  name: string;
  password: string | null;
  created: number;
}

type AdminOutcome = 'done' | 'unknown' | 'last-owner';

export interface SignInAttempt {
  kind: 'address' | 'name';
  value: string;
  limit: number;
  /** Milliseconds. */
  window: number;
}

/** The part of the store that routes use, documented in `store/contract.ts`. Every change takes an audit note. */
export interface Records {
  sites(): Promise<Site[]>;
  site(key: string): Promise<Site | undefined>;
  addSite(site: Site, note: AuditNote): Promise<boolean>;
  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>, note: AuditNote): Promise<Site | undefined>;
  removeSite(key: string, now: number, note: AuditNote): Promise<boolean>;
  refusals(now: number): Promise<Refusal[]>;
  admins(): Promise<Admin[]>;
  admin(name: string): Promise<Admin | undefined>;
  addAdmin(name: string, now: number, rights: Rights, note: AuditNote): Promise<boolean>;
  setRights(name: string, rights: Rights, note: AuditNote): Promise<AdminOutcome>;
  removeAdmin(name: string, note: AuditNote): Promise<AdminOutcome>;
  setPassword(name: string, password: string, note: AuditNote): Promise<boolean>;
  addLink(name: string, now: number, note: AuditNote): Promise<string | undefined>;
  takeLink(secret: string, now: number): Promise<string | undefined>;
  addSession(
    name: string,
    agent: string,
    now: number,
    note: AuditNote,
  ): Promise<{ secret: string; session: Session } | undefined>;
  sessionId(secret: string): string;
  session(secret: string, now: number): Promise<Session | undefined>;
  sessions(now: number): Promise<Session[]>;
  removeSession(id: string, note?: AuditNote): Promise<boolean>;
  removeSessions(name: string, except: string | undefined): Promise<void>;
  addToken(name: string, now: number, rights: Rights, note: AuditNote): Promise<{ secret: string; token: Token }>;
  token(secret: string, now: number): Promise<Token | undefined>;
  tokens(): Promise<Token[]>;
  removeToken(id: string, note: AuditNote): Promise<boolean>;
  countAttempt(attempts: readonly SignInAttempt[], now: number): Promise<number>;
  forgiveAttempt(attempts: readonly SignInAttempt[], now: number): Promise<void>;
  note(note: AuditNote): Promise<void>;
  audit(query: AuditQuery): Promise<Part<AuditEntry>>;
  hits(site: string, page: string): Promise<number>;
  rights(credential: string, now: number): Promise<Rights | undefined>;
}

/** The part of the record that routes use, documented in `store/archive.ts`. */
export interface RecordArchive {
  visits(query: VisitQuery): Promise<Part<Visit>>;
  visit(id: string): Promise<Visit | undefined>;
  runs(id: string, after?: string): Promise<Part<Run>>;
  scenes(site: string, page: string | null, from: number, to: number): Promise<VisitRuns[]>;
  pages(site: string, days: Days): Promise<PageCounts[]>;
  days(site: string, page: string | null, days: Days): Promise<DayCounts[]>;
  heat(query: HeatQuery): Promise<Heat>;
  erase(id: string, note: AuditNote): Promise<boolean>;
}
