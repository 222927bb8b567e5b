/**
 * Creates the library's clients with our settings: nothing waits for a connection, and the queue of commands that wait
 * for answers is bounded.
 */
import { createCluster, RedisClient } from '@redis/client';

export type Argument = string | Buffer;
export type RedisCommand = readonly Argument[];

/** The part of the library's clients that is used; its own types cover hundreds of commands. */
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
  /** By number; slots of a shard share an object. */
  slots: { master: object }[];
  nodeClient(node: object): Server | Promise<Server>;
}

/** Nodes that are away for this long have perhaps been replaced: the cluster is asked for its slots, milliseconds. */
const REDISCOVER_MS = 500;
/** Maximum number of commands that wait for answers; more are refused. */
const MAX_WAITING = 50_000;
/**
 * Time between two attempts to connect, milliseconds: twice as long each time up to the maximum, plus up to half of it
 * at random.
 */
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2000;

/** Adds up to half of the time at random, so that clients do not return at the same moment. */
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

let newClient: ReturnType<typeof RedisClient.factory> | undefined;

/**
 * All clients share one class. `createClient` defines a class with all commands of Redis for each client, which takes
 * about 10 ms of CPU.
 */
function create(options: object): Server {
  newClient ??= RedisClient.factory({ RESP: 2 });
  return newClient(options as never) as never;
}

/** Returns a client of one server that reconnects by itself. */
export function serverOf(url: string, limitMs: number): Server {
  return create({ url, ...settings(url, limitMs) });
}

/** Returns a client of one server for the duration of one connection. */
export function connectionOf(url: string, limitMs: number): Server {
  const { socket, ...more } = settings(url, limitMs);
  return create({ url, ...more, socket: { ...socket, reconnectStrategy: false } });
}

/** Returns a client of a cluster. `urls`: some of its nodes. */
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
    topologyRefreshOnReconnectionAttemptStrategy: REDISCOVER_MS,
  };
  return createCluster(options as never) as never;
}
