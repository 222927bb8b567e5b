/**
 * The connection to Redis: to one server, to the master that sentinels name, or to a cluster. Commands are those of
 * Redis' own documentation, with bounded waits. The client reconnects by itself. Commands in progress when a connection
 * breaks fail and are never resent automatically, because they may have been executed.
 */
import { createHash } from 'node:crypto';
import { RESP_TYPES } from '@redis/client';
import { TimeoutError, withTimeout } from '../lib/timeout.ts';
import { type Argument, type Cluster, clusterOf, type RedisCommand, type Server, serverOf } from './client.ts';
import { RedisError } from './error.ts';
import { redisError } from './fault.ts';
import { slotOf } from './hash-slot.ts';
import { type RedisTarget, targetText } from './redis-url.ts';
import { MasterClient } from './sentinel.ts';

export type { Argument, RedisCommand } from './client.ts';

export interface ConnectOptions {
  /** How long to wait for an answer, milliseconds. */
  limitMs?: number;
  /** How long to try to connect at first, milliseconds. */
  connectMs?: number;
  /** Called when the connection breaks (with the reason) and when it is restored (undefined). */
  onState?(error: RedisError | undefined): void;
  /** See `Redis.guard`. */
  check?: ConnectionCheck;
}

/** Sends a command to the node of `key`, even during a check. */
type Ask = <T>(key: string, ...command: Argument[]) => Promise<T>;

/** Throws RedisError if Redis does not hold the store that this process uses. */
export type ConnectionCheck = (ask: Ask) => Promise<void>;

/** A script that Redis runs in one step (redis.io/docs/develop/programmability/eval-intro). */
export interface Script {
  source: string;
  /** Hash by which Redis knows a script it has seen. */
  sha: string;
}

/**
 * Returns a Lua script: `KEYS[1]` is the key it is run with, ARGV the arguments. Without a flag it may only write while
 * Redis has free memory.
 */
export function scriptOf(lua: string, flag?: 'no-writes' | 'allow-oom'): Script {
  const source = `#!lua${flag ? ` flags=${flag}` : ''}\n${lua}`;
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

const LIMIT_MS = 10_000;
const CONNECT_MS = 5000;
/** How long closing waits for commands in progress, milliseconds. */
const CLOSE_MS = 1000;
/** How often a guarded connection is checked, and how soon again after a check without an answer, milliseconds. */
const CHECK_MS = 1000;
const CHECK_AGAIN_MS = 100;
/** Maximum number of words of a command in a script: Lua unpacks some 8,000 (LUAI_MAXCSTACK). */
const MAX_WORDS = 4000;
/** Minimum version: streams, flags for scripts. Valkey counts as 7.2. */
const MIN_VERSION = 7;

const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

/**
 * Runs commands in one step, unless the number under the first key differs from the expected one: then somebody else
 * has changed what they depend on. `ADD` is our own command: key, then pairs of field and increment; fields that become
 * 0 are removed.
 */
const COMMIT = `
local version = redis.call('GET', KEYS[1]) or '0'
if ARGV[1] ~= '' and version ~= ARGV[1] then return 0 end
redis.call('INCR', KEYS[1])
local at = 2
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  if ARGV[at + 1] == 'ADD' then
    local key = ARGV[at + 2]
    for i = at + 3, at + count, 2 do
      if redis.call('HINCRBY', key, ARGV[i], ARGV[i + 1]) == 0 then redis.call('HDEL', key, ARGV[i]) end
    end
  else
    redis.call(unpack(ARGV, at + 1, at + count))
  end
  at = at + count + 1
end
return 1
`;

/** Runs commands that only read, in one step: the replies are of one moment, and cost one answer. */
const GATHER = `
local found = {}
local at = 1
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  found[#found + 1] = redis.call(unpack(ARGV, at + 1, at + count))
  at = at + count + 1
end
return found
`;

/** Also runs without free memory. */
const READ = scriptOf(GATHER, 'no-writes');

const CHANGE = scriptOf(COMMIT);
/** Freeing space must also work without free memory. */
const COMMIT_WHEN_FULL = scriptOf(COMMIT, 'allow-oom');

export class Redis {
  readonly where: string;
  readonly isCluster: boolean;
  readonly #client: Server | Cluster;
  readonly #target: RedisTarget;
  readonly #limitMs: number;
  readonly #onState: NonNullable<ConnectOptions['onState']>;
  #check: ConnectionCheck | undefined;
  #checking: Promise<void> | undefined;
  /** Commands wait for this promise, and fail with it; undefined if nothing blocks them. */
  #gate: Promise<void> | undefined;
  /** The last check found another store. */
  #isOther = false;
  #nextCheck: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  private constructor(
    client: Server | Cluster,
    target: RedisTarget,
    limitMs: number,
    onState: ConnectOptions['onState'] = () => {},
  ) {
    this.#client = client;
    this.#onState = onState;
    this.#target = target;
    this.isCluster = target.urls.length > 1;
    this.where = targetText(target);
    this.#limitMs = limitMs;
  }

  /** Connects. Throws RedisError. */
  static async connect(target: RedisTarget, options: ConnectOptions = {}): Promise<Redis> {
    const { limitMs = LIMIT_MS, connectMs = CONNECT_MS } = options;
    const where = targetText(target);
    let isOpen = false;
    let last: unknown;
    const client = clientOf(target, limitMs);
    let giveUp: (error: unknown) => void = () => {};
    const hopeless = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    const failed = (error: Error) => {
      last = error;
      const told = redisError(error, where);
      if (isOpen) options.onState?.(told);
      else if (told.code !== 'unreachable') giveUp(told);
    };
    for (const event of ['error', 'node-error']) client.on(event, failed);
    const redis = new Redis(client, target, limitMs, options.onState);
    for (const event of ['ready', 'node-ready']) client.on(event, () => isOpen && redis.#onReady());
    try {
      await withTimeout(Promise.race([client.connect(), hopeless]), connectMs);
      await redis.#checkVersion();
      if (options.check) await redis.guard(options.check);
      isOpen = true;
      return redis;
    } catch (error) {
      clearTimeout(redis.#nextCheck);
      client.destroy();
      throw redisError(error instanceof TimeoutError && last ? last : error, where);
    }
  }

  /** Opens another connection to the same Redis, for commands that must not wait behind others. Throws RedisError. */
  another(options: ConnectOptions = {}): Promise<Redis> {
    const check = this.#check && { check: this.#check };
    return Redis.connect(this.#target, { limitMs: this.#limitMs, ...check, ...options });
  }

  /**
   * Runs `check` now, once a second, and before anything else is sent on a new connection. While it fails, all commands
   * fail with its error, and `onState` is called. Throws RedisError if the first check fails.
   */
  async guard(check: ConnectionCheck): Promise<void> {
    this.#check = check;
    await this.verify();
  }

  /**
   * Runs the check now. Throws RedisError if Redis holds another store, or does not answer. Does nothing without a
   * guard.
   */
  async verify(): Promise<void> {
    if (!this.#check) return;
    // A check in progress may have started before the suspected change.
    await this.#checking?.catch(() => {});
    clearTimeout(this.#nextCheck);
    this.#checking ??= this.#verify(this.#check).finally(() => {
      this.#checking = undefined;
    });
    await this.#checking;
  }

  async #verify(check: ConnectionCheck): Promise<void> {
    let nextMs = CHECK_MS;
    try {
      await check((key, ...command) => this.#sendUnchecked(key, command, {}));
      this.#admit();
    } catch (error) {
      const told = redisError(error, this.where);
      if (told.code === 'other-store') this.#refuse(told);
      else if (this.#gate && !this.#isOther && this.isCluster) this.#admit();
      else if (this.#gate && !this.#isOther) this.#gate = failed(told);
      nextMs = CHECK_AGAIN_MS;
      throw told;
    } finally {
      if (!this.#closed) this.#nextCheck = setTimeout(() => this.verify().catch(() => {}), nextMs).unref();
    }
  }

  #admit(): void {
    if (!this.#gate) return;
    this.#gate = undefined;
    this.#isOther = false;
    this.#onState(undefined);
  }

  #refuse(error: RedisError): void {
    this.#gate = failed(error);
    this.#isOther = true;
    this.#onState(error);
  }

  /**
   * A new connection may lead to another Redis, or to one that has lost its data: nothing is sent before the check.
   */
  #onReady(): void {
    if (!this.#check) {
      this.#onState(undefined);
      return;
    }
    const checked = this.verify();
    checked.catch(() => {});
    if (!this.#isOther) this.#gate = checked;
  }

  async #checkVersion(): Promise<void> {
    const [info = ''] = await this.everywhere<string>('INFO', 'server');
    // Valkey calls it server_mode.
    if (/^(redis|server)_mode:sentinel/m.test(info))
      throw new RedisError('failed', `Redis at ${this.where} is a sentinel: use redis+sentinel://HOST:PORT/NAME`);
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? 'unknown';
    if (!(Number.parseInt(version, 10) >= MIN_VERSION))
      throw new RedisError(
        'version',
        `Redis at ${this.where} is version ${version}; ${MIN_VERSION}.0 or later is needed`,
      );
  }

  /** Sends a command to the node of `key`; texts are returned as strings. Throws RedisError. */
  send<T>(key: string, ...command: Argument[]): Promise<T> {
    return this.#send(key, command, {});
  }

  /** Like `send`; texts are returned as bytes. */
  sendForBytes<T>(key: string, ...command: Argument[]): Promise<T> {
    return this.#send(key, command, { typeMapping: BYTES });
  }

  async #send<T>(key: string, command: RedisCommand, options: object): Promise<T> {
    if (this.#gate) await this.#gate;
    return this.#sendUnchecked(key, command, options);
  }

  async #sendUnchecked<T>(key: string, command: RedisCommand, options: object): Promise<T> {
    const limited = { timeout: this.#limitMs, ...options };
    const client = this.#client;
    const sent = this.isCluster
      ? (client as Cluster).sendCommand(key, false, command, limited)
      : (client as Server).sendCommand(command, limited);
    return (await this.#answer(sent)) as T;
  }

  /**
   * Sends a command without a key to the node of `key`, after the commands sent there. (The library's cluster client
   * sends WAIT to all nodes, even to those that have become replicas, which refuse it.) Throws RedisError.
   */
  async sendThere<T>(key: string, ...command: Argument[]): Promise<T> {
    if (!this.isCluster) return this.#send(key, command, {});
    if (this.#gate) await this.#gate;
    const cluster = this.#client as Cluster;
    const node = cluster.slots[slotOf(key)]?.master;
    if (!node) throw new RedisError('unreachable', `Redis at ${this.where} has no node for ${key}`);
    const client = await this.#answer(Promise.resolve(cluster.nodeClient(node)));
    return (await this.#answer(client.sendCommand(command, { timeout: this.#limitMs }))) as T;
  }

  /** Returns one of the keys for each node that has any. */
  oneOfEachNode(keys: readonly string[]): string[] {
    if (!this.isCluster) return keys.slice(0, 1);
    const { slots } = this.#client as Cluster;
    return [...new Map(keys.map((key) => [slots[slotOf(key)]?.master, key])).values()];
  }

  /** Waits for an answer. Throws RedisError for every error, and after the time limit. */
  async #answer<T>(sent: Promise<T>): Promise<T> {
    try {
      return await withTimeout(sent, this.#limitMs);
    } catch (error) {
      throw redisError(error, this.where);
    }
  }

  /** Runs a script on the node of `key`. Throws RedisError. */
  run<T>(script: Script, key: string, args: RedisCommand): Promise<T> {
    return this.#run(script, key, args, {});
  }

  /** Like `run`; texts are returned as bytes. */
  runForBytes<T>(script: Script, key: string, args: RedisCommand): Promise<T> {
    return this.#run(script, key, args, { typeMapping: BYTES });
  }

  async #run<T>(script: Script, key: string, args: RedisCommand, options: object): Promise<T> {
    try {
      return await this.#send<T>(key, ['EVALSHA', script.sha, '1', key, ...args], options);
    } catch (error) {
      // Redis was restarted, or another node has taken over: nothing was done.
      if (!(error instanceof RedisError && error.message.includes('says: NOSCRIPT'))) throw error;
      return this.#send<T>(key, ['EVAL', script.source, '1', key, ...args], options);
    }
  }

  /** Returns the replies of commands that only read, at one moment. All of their keys must be on the node of `key`. */
  gather<T>(key: string, commands: readonly RedisCommand[]): Promise<T[]> {
    return this.#run(READ, key, counted(commands), {});
  }

  /** Like `gather`; texts are returned as bytes. */
  gatherBytes<T>(key: string, commands: readonly RedisCommand[]): Promise<T[]> {
    return this.#run(READ, key, counted(commands), { typeMapping: BYTES });
  }

  /** Sends a command to each node that has slots. */
  async everywhere<T>(...command: Argument[]): Promise<T[]> {
    const nodes = this.isCluster ? (this.#client as Cluster).masters : undefined;
    const clients = nodes
      ? await this.#answer(Promise.all(nodes.map((node) => (this.#client as Cluster).nodeClient(node))))
      : [this.#client as Server];
    const asked = clients.map((client) => client.sendCommand(command, { timeout: this.#limitMs }));
    return (await this.#answer(Promise.all(asked))) as T[];
  }

  /**
   * Runs commands in one step and increments the number under `version`. All of their keys must be on its node. Returns
   * false, without an effect, if that number is not `expected` any more (null: any number). `release`: also run while
   * Redis has no free memory.
   */
  async commit(
    version: string,
    expected: string | null,
    commands: readonly RedisCommand[],
    release = false,
  ): Promise<boolean> {
    const script = release ? COMMIT_WHEN_FULL : CHANGE;
    return (await this.run<number>(script, version, counted(commands, [expected ?? '']))) === 1;
  }

  /** Closes the connection after the pending answers, or soon. Closing twice is safe. */
  close(): Promise<void> {
    clearTimeout(this.#nextCheck);
    this.#closed ??= withTimeout(Promise.resolve(this.#client.close()), CLOSE_MS).then(
      () => {},
      () => this.#client.destroy(),
    );
    return this.#closed;
  }
}

/**
 * Flattens commands, each preceded by its number of words. Throws RangeError for one that Lua could not pass on: it
 * would fail after the commands before it had run.
 */
function counted(commands: readonly RedisCommand[], args: Argument[] = []): Argument[] {
  for (const command of commands) {
    if (command.length > MAX_WORDS && command[0] !== 'ADD')
      throw new RangeError(`${command.length} words in a command`);
    args.push(String(command.length));
    for (const argument of command) args.push(argument);
  }
  return args;
}

/** Returns a rejected promise that may stay unhandled. */
function failed(error: RedisError): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}

function clientOf({ urls, sentinels }: RedisTarget, limitMs: number): Server | Cluster {
  const [url = ''] = urls;
  if (sentinels) return new MasterClient(url, sentinels);
  return urls.length > 1 ? clusterOf(urls, limitMs) : serverOf(url, limitMs);
}
