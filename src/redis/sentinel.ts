/**
 * The master that Redis Sentinel knows, as a client of one server: each time it connects, sentinels are asked where the master is
 * (redis.io/docs/latest/develop/reference/sentinel-clients). The library's own sentinel client sends again what was under way when
 * a connection broke, and has commands wait without a bound.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClientOfflineError } from 'redis';
import { withTimeout } from '../lib/timeout.ts';
import { connectionOf, type RedisCommand, retryAfter, type Server } from './client.ts';
import { RedisError } from './error.ts';
import { redisError } from './fault.ts';
import { addressOf } from './redis-url.ts';

/** A sentinel that has not answered by then is passed over, milliseconds. */
const ASK_MS = 1000;
/** A master that does not answer by then is perhaps none any more: sentinels are asked anew, milliseconds. */
const GREET_MS = 3000;
/** A master that stands still, or is cut off, keeps its connections when another takes over: it is asked for so often, milliseconds. */
const LOOK_MS = 5000;

/** Emits `error` when it loses the master or does not reach it, and `ready` when it has it. */
export class MasterClient extends EventEmitter implements Server {
  readonly #url: string;
  readonly #name: string;
  readonly #sentinels: readonly string[];
  readonly #end = new AbortController();
  /** Of the connection that there is, or that is being made. */
  #client: Server | undefined;
  #isReady = false;
  #looking: NodeJS.Timeout | undefined;

  /** `url` has the master's name for a host. */
  constructor(url: string, sentinels: readonly string[]) {
    super();
    this.#url = url;
    this.#name = new URL(url).hostname;
    this.#sentinels = sentinels;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Tries until it has the master, or is closed. */
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

  /** Leaves a master in whose place there is another. */
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

/** Connects to what is said to be the master, and asks it. (INFO says what ROLE does, and is permitted to more users.) */
async function greet(client: Server, where: string): Promise<void> {
  await client.connect();
  const info = String(await client.sendCommand(['INFO', 'replication']));
  if (!/^role:master/m.test(info))
    throw new RedisError('unreachable', `Redis at ${where} is a replica, not the master`);
}

/** Where the master is, as `host:port`, by most of the sentinels that answer: one that was cut off may not know yet. Throws RedisError. */
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

/** What one sentinel says; undefined if it does not know that name. */
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

/** The one that is there most often, or the first of those. */
function mostOf(texts: readonly string[]): string | undefined {
  const times = texts.map((text) => texts.filter((one) => one === text).length);
  return texts[times.indexOf(Math.max(...times))];
}

function withAddress(url: string, address: string): string {
  const changed = new URL(url);
  changed.host = address;
  return changed.href;
}
