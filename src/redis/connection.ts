/**
 * The way to Redis, be it one server, the master that sentinels know, or a cluster: commands as they are in Redis' own documentation, with
 * bounded waits. The client connects anew by itself; what is under way when a connection breaks fails, and is never sent again by itself,
 * since it may have been done.
 */
import { createHash } from 'node:crypto';
import { RESP_TYPES } from 'redis';
import { TimeoutError, withTimeout } from '../lib/timeout.ts';
import { type Argument, type Cluster, clusterOf, type RedisCommand, type Server, serverOf } from './client.ts';
import { RedisError } from './error.ts';
import { redisError } from './fault.ts';
import { slotOf } from './hash-slot.ts';
import { type RedisTarget, targetText } from './redis-url.ts';
import { MasterClient } from './sentinel.ts';

export type { Argument, RedisCommand } from './client.ts';

export interface ConnectOptions {
  /** An answer that has not come by then is not waited for, milliseconds. */
  limitMs?: number;
  /** How long to try to connect at first, milliseconds; nobody need wait for a server that is not there. */
  connectMs?: number;
  /** Told when the connection breaks (with why) and when it is there again (undefined). */
  onState?(error: RedisError | undefined): void;
  /** As `Redis.guard`. */
  check?: ConnectionCheck;
}

/** Sends a command to where `key` is, also while a check is under way. */
type Ask = <T>(key: string, ...command: Argument[]) => Promise<T>;

/** Throws RedisError if Redis does not hold what this process works with. */
export type ConnectionCheck = (ask: Ask) => Promise<void>;

/** Commands of our own, run by the server in one step (redis.io/docs/develop/programmability/eval-intro). */
export interface Script {
  source: string;
  /** How the server knows it once it has seen it. */
  sha: string;
}

/** A script in Lua: `KEYS[1]` is the key it is run with, ARGV the arguments. Without a flag it may write only where there is room. */
export function scriptOf(lua: string, flag?: 'no-writes' | 'allow-oom'): Script {
  const source = `#!lua${flag ? ` flags=${flag}` : ''}\n${lua}`;
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

const LIMIT_MS = 10_000;
const CONNECT_MS = 5000;
/** What is under way when it is closed is waited for so long, milliseconds. */
const CLOSE_MS = 1000;
/** How often a guarded connection is checked, and how soon again after a check that found no answer, milliseconds. */
const CHECK_MS = 1000;
const CHECK_AGAIN_MS = 100;
/** Words of a command in a script: Lua unpacks some 8,000 (LUAI_MAXCSTACK). */
const MAX_WORDS = 4000;
/** The least version: streams, functions' flags for scripts. Valkey counts as 7.2. */
const MIN_VERSION = 7;

const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer } as const;

/**
 * Runs commands in one step, unless the number under the first key is another than expected: then somebody else has
 * changed what they go by. `ADD` is a command of ours: key, then field and by how much, again and again; fields that come to 0 go.
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

/** Runs commands that only read, in one step: what they find is of one moment, and costs one answer. */
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

/** Is run where there is no room, too. */
const READ = scriptOf(GATHER, 'no-writes');

const CHANGE = scriptOf(COMMIT);
/** What makes room must be possible where there is none. */
const RELEASE = scriptOf(COMMIT, 'allow-oom');

export class Redis {
  readonly where: string;
  readonly isCluster: boolean;
  readonly #client: Server | Cluster;
  readonly #target: RedisTarget;
  readonly #limitMs: number;
  readonly #onState: NonNullable<ConnectOptions['onState']>;
  #check: ConnectionCheck | undefined;
  #checking: Promise<void> | undefined;
  /** What is sent waits for it, and fails if it does; undefined: nothing stands in the way. */
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

  /** A further connection to the same, for what is not to wait behind other commands. Throws RedisError. */
  another(options: ConnectOptions = {}): Promise<Redis> {
    const check = this.#check && { check: this.#check };
    return Redis.connect(this.#target, { limitMs: this.#limitMs, ...check, ...options });
  }

  /**
   * Checks what Redis holds: now, once a second, and before anything else is sent on a new connection. While the check fails, everything
   * that is sent fails with its error, and `onState` is told. Throws RedisError if the first check fails.
   */
  async guard(check: ConnectionCheck): Promise<void> {
    this.#check = check;
    await this.verify();
  }

  /** Checks now. Throws RedisError if Redis does not hold what it should, or does not answer. Does nothing without a guard. */
  async verify(): Promise<void> {
    if (!this.#check) return;
    // One that is under way may have been asked before the change that is suspected.
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

  /** A new connection may lead to another Redis, or to one that has lost its data: nothing is sent before that is known. */
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

  /** Sends a command, to where `key` is; texts come as strings. Throws RedisError. */
  send<T>(key: string, ...command: Argument[]): Promise<T> {
    return this.#send(key, command, {});
  }

  /** As `send`; texts come as bytes. */
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
   * Sends a command that names no key to the node that `key` is on, behind what was sent there. (The library's cluster client sends WAIT to all
   * nodes, also to those that have become replicas, which refuse it.) Throws RedisError.
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

  /** Of keys, one for each node that has any. */
  oneOfEachNode(keys: readonly string[]): string[] {
    if (!this.isCluster) return keys.slice(0, 1);
    const { slots } = this.#client as Cluster;
    return [...new Map(keys.map((key) => [slots[slotOf(key)]?.master, key])).values()];
  }

  /** Throws RedisError for whatever went wrong, and when it has taken too long. */
  async #answer<T>(sent: Promise<T>): Promise<T> {
    try {
      return await withTimeout(sent, this.#limitMs);
    } catch (error) {
      throw redisError(error, this.where);
    }
  }

  /** Runs a script where `key` is. Throws RedisError. */
  run<T>(script: Script, key: string, args: RedisCommand): Promise<T> {
    return this.#run(script, key, args, {});
  }

  /** As `run`; texts come as bytes. */
  runForBytes<T>(script: Script, key: string, args: RedisCommand): Promise<T> {
    return this.#run(script, key, args, { typeMapping: BYTES });
  }

  async #run<T>(script: Script, key: string, args: RedisCommand, options: object): Promise<T> {
    try {
      return await this.#send<T>(key, ['EVALSHA', script.sha, '1', key, ...args], options);
    } catch (error) {
      // It was started anew, or another node has taken over: nothing was done.
      if (!(error instanceof RedisError && error.message.includes('says: NOSCRIPT'))) throw error;
      return this.#send<T>(key, ['EVAL', script.source, '1', key, ...args], options);
    }
  }

  /** What commands find that only read, all of whose keys are where `key` is, at one moment. */
  gather<T>(key: string, commands: readonly RedisCommand[]): Promise<T[]> {
    return this.#run(READ, key, counted(commands), {});
  }

  /** As `gather`; texts come as bytes. */
  gatherBytes<T>(key: string, commands: readonly RedisCommand[]): Promise<T[]> {
    return this.#run(READ, key, counted(commands), { typeMapping: BYTES });
  }

  /** Sends a command to each node that has keys of its own. */
  async everywhere<T>(...command: Argument[]): Promise<T[]> {
    const nodes = this.isCluster ? (this.#client as Cluster).masters : undefined;
    const clients = nodes
      ? await this.#answer(Promise.all(nodes.map((node) => (this.#client as Cluster).nodeClient(node))))
      : [this.#client as Server];
    const asked = clients.map((client) => client.sendCommand(command, { timeout: this.#limitMs }));
    return (await this.#answer(Promise.all(asked))) as T[];
  }

  /**
   * Runs commands in one step, all of whose keys are where `version` is, and counts that number up. False, and nothing is done, if it is not
   * `expected` any more (null: whatever it is). `release`: also when Redis has no room.
   */
  async commit(
    version: string,
    expected: string | null,
    commands: readonly RedisCommand[],
    release = false,
  ): Promise<boolean> {
    const script = release ? RELEASE : CHANGE;
    return (await this.run<number>(script, version, counted(commands, [expected ?? '']))) === 1;
  }

  /** Ends it when what was sent is answered, or soon. Closing twice is safe. */
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
 * Commands one after the other, each led by how many words it has. Throws RangeError for one that Lua could not pass on: it would fail after those
 * before it were done.
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

/** A promise that has failed already, and may be left alone. */
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
