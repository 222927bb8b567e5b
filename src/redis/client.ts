/** The library's clients with the settings of ours: nothing waits for a connection, and the queue of what waits for answers has a bound. */
import { createClient, createCluster } from 'redis';

export type Argument = string | Buffer;
export type RedisCommand = readonly Argument[];

/** The little of the library's clients that is used; its own types are of hundreds of commands. */
interface Client {
  on(event: string, listener: (error: Error) => void): unknown;
  connect(): Promise<unknown>;
  close(): Promise<unknown> | undefined;
  destroy(): void;
}

export interface Server extends Client {
  readonly isReady: boolean;
  sendCommand(args: RedisCommand, options?: object): Promise<unknown>;
}

export interface Cluster extends Client {
  sendCommand(key: string, isReadonly: boolean, args: RedisCommand, options: object): Promise<unknown>;
  masters: object[];
  /** By number; those of a shard share its object. */
  slots: { master: object }[];
  nodeClient(node: object): Server | Promise<Server>;
}

/** Nodes that do not come back for so long have perhaps been replaced: it is asked who keeps what, milliseconds. */
const LOOK_ANEW_MS = 500;
/** Commands that may wait for their answers; more are refused. */
const MAX_WAITING = 50_000;
/** Between two tries to connect: twice as long each time, up to this, and by chance up to half more, milliseconds. */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2000;

/** Half as long again by chance, so that not all come back at the same moment. */
export function retryAfter(retries: number): number {
  const ms = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(retries, 10));
  return ms + Math.random() * (ms / 2);
}

function settings(url: string, limitMs: number) {
  return {
    RESP: 2 as const,
    socket: { connectTimeout: limitMs, reconnectStrategy: retryAfter, tls: url.startsWith('rediss:') },
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled' as const,
    commandsQueueMaxLength: MAX_WAITING,
  };
}

/** A client of one server, that connects anew by itself. */
export function serverOf(url: string, limitMs: number): Server {
  return createClient({ url, ...(settings(url, limitMs) as object) } as never) as never;
}

/** A client of one server for as long as one connection lasts. */
export function connectionOf(url: string, limitMs: number): Server {
  const { socket, ...more } = settings(url, limitMs);
  return createClient({ url, ...more, socket: { ...socket, reconnectStrategy: false } } as never) as never;
}

/** A client of a cluster, some of whose nodes are named. */
export function clusterOf(urls: readonly string[], limitMs: number): Cluster {
  const [first = ''] = urls;
  const { username, password } = new URL(first);
  const who = {
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
  };
  const { RESP, ...defaults } = settings(first, limitMs);
  const options = {
    rootNodes: urls.map((url) => ({ url })),
    defaults: { ...defaults, ...who },
    RESP,
    topologyRefreshOnReconnectionAttemptStrategy: LOOK_ANEW_MS,
  };
  return createCluster(options as never) as never;
}
