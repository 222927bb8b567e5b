/**
 * A client of the master that Redis Sentinel names. Each time it connects, it asks sentinels for the master's address
 * (redis.io/docs/latest/develop/reference/sentinel-clients). The library's own sentinel client resends commands in
 * progress when a connection breaks, and queues commands without a bound.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClientOfflineError } from '@redis/client';
import { withTimeout } from '../lib/timeout.ts';
import { connectionOf, type RedisCommand, retryAfter, type Server } from './client.ts';
import { RedisError } from './error.ts';
import { redisError } from './fault.ts';
import { addressOf } from './redis-url.ts';

/** How long to wait for a sentinel's answer, milliseconds. */
const ASK_MS = 1000;
/** How long to wait for the master's answer before sentinels are asked again, milliseconds. */
const GREET_MS = 3000;
/**
 * How often to check whether the master is still the same, milliseconds: a master that hangs, or is cut off, keeps its
 * connections when another takes over.
 */
const LOOK_MS = 5000;

/** Emits `error` when it loses or cannot reach the master, and `ready` when it is connected. */
export class MasterClient extends EventEmitter implements Server {
  readonly #url: string;
  readonly #name: string;
  readonly #sentinels: readonly string[];
  readonly #end = new AbortController();
  /** The current connection, or the one being made. */
  #client: Server | undefined;
  #isReady = false;
  #looking: NodeJS.Timeout | undefined;

  /** `url`: has the master's name as its host. */
  constructor(url: string, sentinels: readonly string[]) {
    super();
    this.#url = url;
    this.#name = new URL(url).hostname;
    this.#sentinels = sentinels;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Tries until it is connected to the master, or closed. */
  async connect(): Promise<void> {
    for (let retries = 0; ; retries++) {
      try {
        return await this.#open();
      } catch (error) {
        this.#end.signal.throwIfAborted();
        this.emit('error', error);
      }
      await sleep(retryAfter(retries), undefined, this.#end);
    }
  }

  async #open(): Promise<void> {
    const address = await locate(this.#sentinels, this.#name);
    this.#end.signal.throwIfAborted();
    const client = connectionOf(withAddress(this.#url, address), GREET_MS);
    this.#client = client;
    client.on('error', (error) => this.#lose(client, error));
    const where = `${address} (${this.#name})`;
    try {
      await withTimeout(greet(client, where), GREET_MS);
      if (!client.isReady) throw new ClientOfflineError();
    } catch (error) {
      client.destroy();
      throw redisError(error, where);
    }
    this.#isReady = true;
    this.#looking = setInterval(() => void this.#look(client, address), LOOK_MS);
    this.emit('ready');
  }

  /** Disconnects from a master that has been replaced. */
  async #look(client: Server, address: string): Promise<void> {
    const now = await locate(this.#sentinels, this.#name).catch(() => address);
    if (now === address || client !== this.#client) return;
    this.#lose(client, new Error(`${now} has taken its place`));
    client.destroy();
  }

  #lose(client: Server, error: Error): void {
    if (!this.#isReady || client !== this.#client) return;
    this.#isReady = false;
    clearInterval(this.#looking);
    this.emit('error', error);
    this.connect().catch(() => {});
  }

  sendCommand(command: RedisCommand, options?: object): Promise<unknown> {
    return this.#isReady && this.#client
      ? this.#client.sendCommand(command, options)
      : Promise.reject(new ClientOfflineError());
  }

  close(): Promise<unknown> | undefined {
    if (!this.#isReady) return void this.destroy();
    this.#stop();
    return this.#client?.close();
  }

  destroy(): void {
    this.#stop();
    this.#client?.destroy();
  }

  #stop(): void {
    this.#isReady = false;
    clearInterval(this.#looking);
    this.#end.abort();
  }
}

/**
 * Connects to the presumed master, and checks that it is one. (INFO reports the same as ROLE, and is permitted to more
 * users.)
 */
async function greet(client: Server, where: string): Promise<void> {
  await client.connect();
  const info = String(await client.sendCommand(['INFO', 'replication']));
  if (!/^role:master/m.test(info))
    throw new RedisError('unreachable', `Redis at ${where} is a replica, not the master`);
}

/**
 * Returns the master's address as `host:port`, as most of the answering sentinels give it: one that was cut off may be
 * outdated. Throws RedisError.
 */
async function locate(sentinels: readonly string[], name: string): Promise<string> {
  const asked = await Promise.allSettled(sentinels.map((url) => ask(url, name)));
  const answers = asked.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
  const best = mostOf(answers.filter((address) => address !== undefined));
  if (best) return best;
  const where = sentinels.map(addressOf).join(', ');
  if (answers.length > 0) throw new RedisError('failed', `Sentinel at ${where} knows no master named ${name}`);
  const errors = asked
    .filter((one) => one.status === 'rejected')
    .map(({ reason }) => redisError(reason, where, 'Sentinel'));
  throw errors.find(({ code }) => code !== 'unreachable') ?? errors[0];
}

/** Returns the address from one sentinel, or undefined if it does not know the name. */
async function ask(url: string, name: string): Promise<string | undefined> {
  const client = connectionOf(url, ASK_MS);
  client.on('error', () => {});
  const asked = client.connect().then(() => client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name]));
  try {
    const found = (await withTimeout(asked, ASK_MS)) as [host: string, port: string] | null;
    return found?.map((part) => (part.includes(':') ? `[${part}]` : part)).join(':');
  } finally {
    client.destroy();
  }
}

/** Returns the most frequent text, or the first of those. */
function mostOf(texts: readonly string[]): string | undefined {
  const times = texts.map((text) => texts.filter((one) => one === text).length);
  return texts[times.indexOf(Math.max(...times))];
}

function withAddress(url: string, address: string): string {
  const changed = new URL(url);
  changed.host = address;
  return changed.href;
}
