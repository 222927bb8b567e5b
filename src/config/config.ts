/**
 * Flags and environment → one frozen Config. Flags override the environment, which overrides defaults. All errors are
 * reported together.
 */
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { suggestionText } from '../lib/suggest.ts';
import { wrap } from '../lib/wrap.ts';
import { readTarget } from '../redis/redis-url.ts';
import { isReserved } from './reserved-paths.ts';

export type Address = { kind: 'tcp'; host: string; port: number } | { kind: 'path'; path: string };

export const DURABILITIES = ['disk', 'system'] as const;
export type Durability = (typeof DURABILITIES)[number];

/** Shares of the store by site key. */
export type Shares = Readonly<Record<string, number>>;

/** All errors of a command line and its environment. */
export class ConfigError extends Error {
  readonly code = 'bad-config';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

type Env = Readonly<Record<string, string | undefined>>;

interface Option<T> {
  flag: string;
  short?: string;
  /** Environment variables; the first one that is set counts. */
  env: readonly string[];
  /** The name of the value in the help; undefined: a switch. */
  value?: string;
  multiple?: true;
  /** The default, as a user would write it. */
  preset: string | (() => string);
  help: string;
  /** A shorter form for places without room for the whole text. */
  brief?: string;
  /** Parses the value. Throws a string that says what would be right. */
  read(text: string): T;
}

/** The default limit of an address: this number of bytes per second for each connection that it may have. */
const ADDRESS_RATE = 256;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** The options, in the order of `start --help` and docs/configuration.md. */
export const OPTIONS = {
  listen: option({
    flag: 'listen',
    short: 'l',
    env: ['FIELDMOUSE_LISTEN'],
    value: 'ADDRESS',
    multiple: true,
    preset: 'tcp://0.0.0.0:2112',
    help:
      'address to listen on: a port (on all IPv4 addresses; also :port), host:port, tcp://host:port, ' +
      'unix:/path.sock or pipe:\\\\.\\pipe\\name; may be repeated. --port N, -p N and the environment variable ' +
      'PORT=N mean tcp://0.0.0.0:N',
    read: readAddress,
  }),
  workers: option({
    flag: 'workers',
    env: ['FIELDMOUSE_WORKERS'],
    value: 'N',
    preset: () => String(availableParallelism()),
    help: 'worker processes; the default is one per CPU',
    read: integer(1, 512),
  }),
  /** Absolute path of the data folder. */
  data: option({
    flag: 'data',
    env: ['FIELDMOUSE_DATA'],
    value: 'FOLDER',
    preset: './data',
    help: 'data folder: sites, accounts and the record',
    read: (text) => {
      if (text === '') throw 'the path of a folder';
      return resolve(text);
    },
  }),
  /** The Redis that several nodes share, or undefined: this node is alone. */
  redis: option({
    flag: 'redis',
    env: ['FIELDMOUSE_REDIS'],
    value: 'URL',
    preset: '',
    help:
      'the Redis that several servers share: redis://[user:password@]host[:port], rediss:// for TLS, several ' +
      'nodes of a cluster, separated by commas, or redis+sentinel://[user:password@]host[:port],host[:port]/NAME ' +
      'for a master that sentinels monitor. Sites, accounts and the record are then stored there, not in the ' +
      'data folder. If the URL contains a password, prefer the environment variable: other users of the machine ' +
      'can read flags',
    brief: 'the Redis that several servers share, as redis://[user:password@]host[:port]',
    read: readTarget,
  }),
  /** Number of Redis replicas that must have a frame before it is acked. */
  redisReplicas: option({
    flag: 'redis-replicas',
    env: ['FIELDMOUSE_REDIS_REPLICAS'],
    value: 'N',
    preset: '0',
    help: 'number of Redis replicas that must also have a frame before it is acked',
    read: integer(0, 10),
  }),
  /** Refuse to start on a Redis that stores its data only in memory. */
  requirePersistence: option({
    flag: 'require-persistence',
    env: ['FIELDMOUSE_REQUIRE_PERSISTENCE'],
    preset: 'no',
    help: 'refuse to start if Redis stores its data in memory only (appendonly no)',
    read: readSwitch,
  }),
  /** Trust X-Forwarded-For and -Proto from these: false, addresses and CIDR ranges, or true for any. */
  trustProxy: option({
    flag: 'trust-proxy',
    env: ['FIELDMOUSE_TRUST_PROXY'],
    value: 'LIST',
    preset: 'no',
    help:
      'proxies whose X-Forwarded-For and X-Forwarded-Proto headers are trusted: no, yes (any proxy), or a ' +
      'comma-separated list of addresses and CIDR ranges',
    read: readTrust,
  }),
  /** An administrator's API token set from outside, or empty. */
  token: option({
    flag: 'token',
    env: ['FIELDMOUSE_TOKEN'],
    value: 'TOKEN',
    preset: '',
    help:
      "an administrator's API token, set from outside; prefer the environment variable: other users of the " +
      'machine can read flags',
    read: (text) => {
      if (text !== '' && !/^[\x21-\x7e]{16,200}$/.test(text)) throw '16 to 200 visible ASCII characters';
      return text;
    },
  }),
  /** The path under which a proxy mounts the server, such as `/stats`; empty: at the root. */
  basePath: option({
    flag: 'base-path',
    env: ['FIELDMOUSE_BASE_PATH'],
    value: 'PATH',
    preset: '/',
    help: 'path under which a proxy mounts the server, such as /stats; the proxy may keep or strip it',
    read: readBasePath,
  }),
  /** Path of the visitor script, such as `/fieldmouse.js`. */
  scriptPath: option({
    flag: 'script-path',
    env: ['FIELDMOUSE_SCRIPT_PATH'],
    value: 'PATH',
    preset: '/fieldmouse.js',
    help: 'path of the visitor script; change it if a blocker blocks the name',
    read: readPath,
  }),
  /** Path of the visitor endpoint, such as `/v1/visit`. */
  endpoint: option({
    flag: 'endpoint',
    env: ['FIELDMOUSE_ENDPOINT'],
    value: 'PATH',
    preset: '/v1/visit',
    help: 'path of the visitor endpoint',
    read: readPath,
  }),
  logLevel: option({
    flag: 'log-level',
    env: ['FIELDMOUSE_LOG_LEVEL'],
    value: 'LEVEL',
    preset: 'info',
    help: `one of ${LOG_LEVELS.join(', ')}`,
    read: (text) => {
      if (!LOG_LEVELS.includes(text)) throw `one of ${LOG_LEVELS.join(', ')}`;
      return text;
    },
  }),
  /** The header in which a proxy sends the visitor's country, in lower case; empty: none. */
  countryHeader: option({
    flag: 'country-header',
    env: ['FIELDMOUSE_COUNTRY_HEADER'],
    value: 'NAME',
    preset: '',
    help: "header in which a trusted proxy sends the visitor's country as two letters, such as CF-IPCountry",
    read: (text) => {
      if (!/^[A-Za-z0-9-]{0,64}$/.test(text)) throw 'the name of a header';
      return text.toLowerCase();
    },
  }),
  /** The path of a database of countries; true: the one that ships; false: none. */
  geo: option<string | boolean>({
    flag: 'geo',
    env: ['FIELDMOUSE_GEO'],
    value: 'FILE',
    preset: 'yes',
    help:
      "finds a visitor's country by the address, which is not stored; a country from --country-header wins. " +
      'yes: in the database that ships; no: not at all; or a file in the format of MaxMind (.mmdb). Behind a proxy, set --trust-proxy',
    read: (text) => {
      if (text === '') throw 'yes, no or the path of a file';
      return text === 'yes' || text === 'no' ? text === 'yes' : resolve(text);
    },
  }),
  /** How long visits are stored, milliseconds. */
  retainMs: option({
    flag: 'retain',
    env: ['FIELDMOUSE_RETAIN'],
    value: 'TIME',
    preset: '30d',
    help: 'how long visits are stored, in days (30d), weeks (4w) or hours (12h)',
    read: readDuration('1h', '3650d'),
  }),
  /** Maximum length of a visit, milliseconds. */
  maxVisitMs: option({
    flag: 'max-visit',
    env: ['FIELDMOUSE_MAX_VISIT'],
    value: 'TIME',
    preset: '24h',
    help: 'maximum length of one visit, in hours (24h), minutes or seconds; a longer stay starts a new visit',
    read: readDuration('1s', '7d'),
  }),
  /** Maximum size of a visit's runs, bytes; above it they are thinned. */
  maxVisitSize: option({
    flag: 'max-visit-size',
    env: ['FIELDMOUSE_MAX_VISIT_SIZE'],
    value: 'SIZE',
    preset: '64MB',
    help:
      'maximum size of one visit in the record. Beyond it, moves and scrolls are thinned; beyond twice the size, ' +
      'nothing more of the visit is stored. A day of constant movement takes about 25MB',
    read: readVisitSize,
  }),
  /** Maximum size of the store, bytes. */
  maxStore: option({
    flag: 'max-store',
    env: ['FIELDMOUSE_MAX_STORE'],
    value: 'SIZE',
    preset: '10GB',
    help:
      'maximum disk usage of the record with all its files (500MB, 10GB); at the limit, the oldest visits of the ' +
      'site furthest over its share are deleted',
    read: readSize,
  }),
  siteShares: option({
    flag: 'site-share',
    env: ['FIELDMOUSE_SITE_SHARE'],
    value: 'SITE=PARTS',
    multiple: true,
    preset: '',
    help:
      'number of parts of --max-store that a site gets, such as shop=3; may be repeated. The default is one part ' +
      'for each site. When the store is full, visits of the site furthest over its share are deleted',
    read: readShare,
  }),
  commitMs: option({
    flag: 'commit',
    env: ['FIELDMOUSE_COMMIT'],
    value: 'MS',
    preset: '100',
    help: 'interval at which frames are stored, as a group, in milliseconds',
    read: integer(1, 5000),
  }),
  /** A worker with more private memory than this is replaced, bytes. */
  maxMemory: option({
    flag: 'max-memory',
    env: ['FIELDMOUSE_MAX_MEMORY'],
    value: 'SIZE',
    preset: '2GB',
    help: 'a worker with more private memory than this is drained and replaced, at most one worker per minute',
    read: readSize,
  }),
  /** What an ack guarantees: that frames are on disk, or that the operating system has them. */
  durability: option({
    flag: 'durability',
    env: ['FIELDMOUSE_DURABILITY'],
    value: 'LEVEL',
    preset: 'disk',
    help:
      'what an ack promises. disk: the frame is on disk. system: the operating system has it; this costs less, ' +
      'but a power failure may lose the last seconds and damage the store',
    read: (text) => {
      const level = DURABILITIES.find((one) => one === text);
      if (!level) throw `one of ${DURABILITIES.join(', ')}`;
      return level;
    },
  }),
  flushMs: option({
    flag: 'flush',
    env: ['FIELDMOUSE_FLUSH'],
    value: 'MS',
    preset: '100',
    help: 'interval at which a tracker sends a frame, in milliseconds',
    read: integer(16, 10_000),
  }),
  quietFlushMs: option({
    flag: 'quiet-flush',
    env: ['FIELDMOUSE_QUIET_FLUSH'],
    value: 'MS',
    preset: '1000',
    help: 'flush interval while nobody is watching the site, in milliseconds; no effect if shorter than --flush',
    read: integer(16, 10_000),
  }),
  sampleMs: option({
    flag: 'sample',
    env: ['FIELDMOUSE_SAMPLE'],
    value: 'MS',
    preset: '16',
    help: 'minimum time between two pointer samples of a visitor, in milliseconds',
    read: integer(4, 10_000),
  }),
  graceMs: option({
    flag: 'grace',
    env: ['FIELDMOUSE_GRACE'],
    value: 'MS',
    preset: '5000',
    help: 'how long a disconnected visitor may take to reconnect before it counts as left, in milliseconds',
    read: integer(0, 60_000),
  }),
  helloTimeoutMs: option({
    flag: 'hello-timeout',
    env: ['FIELDMOUSE_HELLO_TIMEOUT'],
    value: 'MS',
    preset: '5000',
    help: 'how long a new connection may take to send its hello, in milliseconds',
    read: integer(100, 60_000),
  }),
  maxFrame: option({
    flag: 'max-frame',
    env: ['FIELDMOUSE_MAX_FRAME'],
    value: 'BYTES',
    preset: '16384',
    help: "maximum size of a visitor's frame, in bytes",
    read: integer(256, 65_536),
  }),
  maxSamples: option({
    flag: 'max-samples',
    env: ['FIELDMOUSE_MAX_SAMPLES'],
    value: 'N',
    preset: '1024',
    help: 'maximum number of samples stored from one frame',
    read: integer(1, 1024),
  }),
  maxFrameRate: option({
    flag: 'max-frame-rate',
    env: ['FIELDMOUSE_MAX_FRAME_RATE'],
    value: 'N',
    preset: '120',
    help: 'maximum number of frames per second on one connection; a burst of twice that is allowed',
    read: integer(1, 10_000),
  }),
  /** Maximum bytes per second of one connection. */
  maxRate: option({
    flag: 'max-rate',
    env: ['FIELDMOUSE_MAX_RATE'],
    value: 'BYTES',
    preset: '32768',
    help: 'maximum bytes per second that one visitor may send; a burst of 32 s at that rate is allowed',
    read: integer(256, 1_000_000_000),
  }),
  maxAddressRate: option({
    flag: 'max-address-rate',
    env: ['FIELDMOUSE_MAX_ADDRESS_RATE'],
    value: 'BYTES',
    preset: 'auto',
    help:
      'maximum bytes per second that all visitors from one address may send to one worker; a burst of 256 s at ' +
      'that rate is allowed. auto: 256 times --max-per-address, but at least --max-rate',
    read: (text) => (text === 'auto' ? undefined : integer(256, 1_000_000_000_000)(text)),
  }),
  maxConnections: option({
    flag: 'max-connections',
    env: ['FIELDMOUSE_MAX_CONNECTIONS'],
    value: 'N',
    preset: '20000',
    help: 'maximum number of visitor connections per worker',
    read: integer(1, 1_000_000),
  }),
  maxPerAddress: option({
    flag: 'max-per-address',
    env: ['FIELDMOUSE_MAX_PER_ADDRESS'],
    value: 'N',
    preset: '1000',
    help: 'maximum number of visitor connections from one address to one worker',
    read: integer(1, 1_000_000),
  }),
  maxBody: option({
    flag: 'max-body',
    env: ['FIELDMOUSE_MAX_BODY'],
    value: 'BYTES',
    preset: '1048576',
    help: 'maximum size of an HTTP request body, in bytes',
    read: integer(1024, 64 * 1024 * 1024),
  }),
  maxStreams: option({
    flag: 'max-streams',
    env: ['FIELDMOUSE_MAX_STREAMS'],
    value: 'N',
    preset: '1000',
    help: 'maximum number of open administrator streams',
    read: integer(1, 100_000),
  }),
  maxStreamsEach: option({
    flag: 'max-streams-each',
    env: ['FIELDMOUSE_MAX_STREAMS_EACH'],
    value: 'N',
    preset: '250',
    help: 'maximum number of open streams per account, per API token and per address',
    read: integer(1, 100_000),
  }),
  maxReplays: option({
    flag: 'max-replays',
    env: ['FIELDMOUSE_MAX_REPLAYS'],
    value: 'N',
    preset: '20',
    help: 'maximum number of open replays per worker',
    read: integer(1, 10_000),
  }),
  maxHits: option({
    flag: 'max-hits',
    env: ['FIELDMOUSE_MAX_HITS'],
    value: 'N',
    preset: '600',
    help: 'maximum number of page-visit counter requests per minute from one address to one worker',
    read: integer(1, 1_000_000_000),
  }),
  countBots: option({
    flag: 'count-bots',
    env: ['FIELDMOUSE_COUNT_BOTS'],
    value: 'YES',
    preset: 'no',
    help: 'whether the page-visit counter counts clients that identify themselves as bots, crawlers or programs',
    read: readSwitch,
  }),
  plainWebsockets: option({
    flag: 'plain-websockets',
    env: ['FIELDMOUSE_PLAIN_WEBSOCKETS'],
    preset: 'no',
    help:
      "read visitors' WebSockets with the ws library alone: costs more CPU, and does not depend on internals of " +
      'Node.js. The server does so by itself where those internals are not as expected',
    read: readSwitch,
  }),
  /** `/healthz` and `/readyz` answer 503 while the server is degraded. */
  failDegraded: option({
    flag: 'fail-degraded',
    env: ['FIELDMOUSE_FAIL_DEGRADED'],
    preset: 'no',
    help:
      '/healthz and /readyz answer 503 instead of 200 while the server is degraded: Redis is unreachable, the ' +
      'disk is full, or nothing is stored',
    read: readSwitch,
  }),
} as const;

/** The type of each option's value; for an option that may be repeated, of each value. */
type Values = { readonly [K in keyof typeof OPTIONS]: ReturnType<(typeof OPTIONS)[K]['read']> };

/** The server's configuration: all options, by their names in OPTIONS. */
export interface Config extends Omit<Values, 'listen' | 'siteShares' | 'maxAddressRate'> {
  readonly listen: readonly Address[];
  /** Shares of the store by site key; a site that is not listed has a share of one. */
  readonly siteShares: Shares;
  /** Maximum bytes per second from one address to one worker. */
  readonly maxAddressRate: number;
  readonly development: boolean;
}

function option<T>(given: Option<T>): Option<T> {
  return given;
}

/** Flags a command has besides OPTIONS. */
export interface Parsed {
  config: Config;
  /** The rest of the command line: the command and its arguments. */
  words: string[];
  /** Values of flags that only some commands use, such as `--name`. */
  extra: Record<string, string[]>;
}

/**
 * Parses a command line (without `node` and the script) and the environment. `extraFlags` names flags with a value that
 * only the current command uses; they may be repeated. Throws ConfigError with all errors.
 */
export function readConfig(argv: readonly string[], env: Env, extraFlags: readonly string[] = []): Parsed {
  const faults: string[] = [];
  const { flags, words } = splitArguments(argv, extraFlags, faults);
  const read = Object.entries(OPTIONS).map(([key, o]) => [key, readOption(o as Option<unknown>, flags, env, faults)]);
  const all = Object.fromEntries(read) as { [K in keyof Values]: Values[K][] };
  const values = Object.fromEntries(Object.entries(all).map(([key, [first]]) => [key, first])) as unknown as Values;
  const config: Config = {
    ...values,
    listen: Object.freeze(all.listen),
    siteShares: Object.fromEntries(all.siteShares.filter((share) => share !== undefined)),
    maxAddressRate: values.maxAddressRate ?? Math.max(values.maxRate, ADDRESS_RATE * values.maxPerAddress),
    development: env.NODE_ENV === 'development',
  };
  if (config.scriptPath === config.endpoint)
    faults.push(`--script-path and --endpoint are both ${config.endpoint}: give them different paths`);
  if (faults.length > 0) throw new ConfigError(faults);
  const extra = Object.fromEntries(extraFlags.map((name) => [name, flags.get(name) ?? []]));
  return { config: Object.freeze(config), words, extra };
}

/** The words of a command line, ignoring everything else. */
export function wordsOf(argv: readonly string[], extraFlags: readonly string[] = []): string[] {
  return splitArguments(argv, extraFlags, []).words;
}

/** A visitor id that starts with a dash, as one in 64 does: it is a word, and no option looks like it. */
const DASHED_ID = /^-[\w-]{21}$/;

/** What people type for `--listen tcp://0.0.0.0:N`. */
const PORT_FLAG = 'port';

/** Handled before anything else; they take no value. */
const ALONE: ReadonlySet<string> = new Set(['help', 'version']);

/** Flags of commands that take no value. */
const SWITCHES: ReadonlySet<string> = new Set(['yes', 'skip-damaged']);

/** Separates flags from words. Unknown flags become errors. */
function splitArguments(argv: readonly string[], extraFlags: readonly string[], faults: string[]) {
  const known = new Map(Object.values(OPTIONS).map((o) => [o.flag, o as Option<unknown>]));
  const options = Object.fromEntries([
    ...[...known.values()].map((o) => [
      o.flag,
      // A switch needs no value. A value must be joined to it, as in --name=no.
      {
        type: o.value ? ('string' as const) : ('boolean' as const),
        multiple: true,
        ...(o.short && { short: o.short }),
      },
    ]),
    [PORT_FLAG, { type: 'string' as const, multiple: true, short: 'p' }],
    ...extraFlags.map((name) => [
      name,
      { type: SWITCHES.has(name) ? ('boolean' as const) : ('string' as const), multiple: true },
    ]),
  ]);
  const dashed = [...known.keys(), ...extraFlags, PORT_FLAG, 'help', 'version'].map((name) => `--${name}`);
  const valued = [...known.values()].filter((o) => o.value).flatMap((o) => [`--${o.flag}`, `-${o.short}`]);
  const takesValue = new Set([
    ...[...valued, `--${PORT_FLAG}`, '-p'],
    ...extraFlags.filter((name) => !SWITCHES.has(name)).map((name) => `--${name}`),
  ]);
  const args = withValues(
    argv.filter((word) => !DASHED_ID.test(word)),
    takesValue,
    (flag) => faults.push(needsValue(flag, known)),
  );
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  const flags = new Map<string, string[]>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    if (token.name === PORT_FLAG) {
      if (token.value === undefined) faults.push(needsValue(token.rawName, known));
      else if (/^\d{1,5}$/.test(token.value) && Number(token.value) <= 65_535)
        flags.set('listen', [...(flags.get('listen') ?? []), `tcp://0.0.0.0:${Number(token.value)}`]);
      else faults.push(`--port: ${JSON.stringify(token.value)} is not valid; it must be a port from 0 to 65535`);
      continue;
    }
    if (ALONE.has(token.name) && token.value !== undefined) faults.push(`${token.rawName}: takes no value`);
    else if (!known.has(token.name) && !extraFlags.includes(token.name))
      faults.push(`${token.rawName}: no such option${suggestionText(token.rawName, dashed)}`);
    else if (known.get(token.name)?.value === undefined && !extraFlags.includes(token.name))
      flags.set(token.name, [token.value ?? 'yes']);
    else if (SWITCHES.has(token.name)) {
      if (token.value === undefined) flags.set(token.name, ['yes']);
      else faults.push(`${token.rawName}: takes no value`);
    } else if (token.value === undefined) faults.push(needsValue(token.rawName, known));
    else flags.set(token.name, [...(flags.get(token.name) ?? []), token.value]);
  }
  return { flags, words: [...words, ...argv.filter((word) => DASHED_ID.test(word))] };
}

/**
 * Removes options without a value, which would otherwise take the next option as their value. `onBare` is called for
 * each.
 */
function withValues(
  args: readonly string[],
  takesValue: ReadonlySet<string>,
  onBare: (flag: string) => void,
): string[] {
  const all: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i] as string;
    if (word === '--') return [...all, ...args.slice(i)];
    const next = args[i + 1];
    if (!takesValue.has(word)) all.push(word);
    else if (next !== undefined && (next.startsWith('--') || takesValue.has(next))) onBare(word);
    else {
      all.push(word, ...(next === undefined ? [] : [next]));
      i += 1;
    }
  }
  return all;
}

function needsValue(flag: string, known: ReadonlyMap<string, Option<unknown>>): string {
  const option = [...known.values()].find((one) => flag === `--${one.flag}` || flag === `-${one.short}`);
  const value = option?.value ?? (/^--?p(ort)?$/.test(flag) ? 'N' : undefined);
  return `${flag}: needs a value${value ? ` (${value})` : ''}`;
}

/** Options whose values must not be shown. */
const SECRET: ReadonlySet<string> = new Set(['token', 'redis']);

function readOption(o: Option<unknown>, flags: Map<string, string[]>, env: Env, faults: string[]): unknown[] {
  const { name, texts, read = o.read } = source(o, flags, env);
  return texts.map((text) => {
    try {
      return read(text);
    } catch (right) {
      if (typeof right !== 'string') throw right;
      const displayed = SECRET.has(o.flag) ? 'the value given' : JSON.stringify(text);
      faults.push(`${name}: ${displayed} is not valid; it must be ${right}`);
      return undefined;
    }
  });
}

interface Source {
  name: string;
  texts: string[];
  /** How to parse it, if different from the option itself. */
  read?: (text: string) => unknown;
}

/** Returns where an option's value comes from, and the value as text. */
function source(o: Option<unknown>, flags: Map<string, string[]>, env: Env): Source {
  const given = flags.get(o.flag);
  if (given) return { name: `--${o.flag}`, texts: o.multiple ? given : given.slice(-1) };
  for (const name of o.env) {
    const text = env[name];
    if (text !== undefined && text !== '') return { name, texts: o.multiple ? text.split(',') : [text] };
  }
  if (o.flag === 'listen' && env.PORT) return { name: 'PORT', texts: [env.PORT], read: readPort };
  return { name: `--${o.flag}`, texts: [typeof o.preset === 'function' ? o.preset() : o.preset] };
}

/** Hosting platforms set PORT without a host. */
function readPort(text: string): Address {
  return { kind: 'tcp', host: '0.0.0.0', port: integer(0, 65_535)(text) };
}

function readAddress(text: string): Address {
  const [, all] = /^(?:\*?:)?(\d{1,5})$/.exec(text) ?? [];
  if (all !== undefined && Number(all) <= 65_535) return readPort(all);
  const path = /^(?:unix|pipe):(.+)$/.exec(text)?.[1];
  if (path !== undefined) return { kind: 'path', path: text.startsWith('pipe:') ? path : socketPath(path) };
  const tcp = /^(?:tcp:\/\/)?(\[[0-9a-fA-F:.]+\]|[^[\]:/]+):(\d{1,5})\/?$/.exec(text);
  const port = Number(tcp?.[2]);
  if (!tcp?.[1] || port > 65_535)
    throw 'a port (0 to 65535), host:port, tcp://host:port, unix:/path.sock or pipe:\\\\.\\pipe\\name';
  return { kind: 'tcp', host: tcp[1].replace(/^\[|\]$/g, ''), port };
}

/** Maximum length of the path of a Unix socket, bytes; the system would truncate a longer one. */
export const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

function socketPath(text: string): string {
  const path = resolve(text);
  const bytes = Buffer.byteLength(path);
  // On Windows it is the name of a pipe.
  if (bytes > MAX_SOCKET_PATH && process.platform !== 'win32')
    throw `a path of at most ${MAX_SOCKET_PATH} bytes (this one has ${bytes}), such as unix:/run/fieldmouse.sock`;
  return path;
}

function readSwitch(text: string): boolean {
  if (text !== 'yes' && text !== 'no') throw 'yes or no';
  return text === 'yes';
}

/** Undefined for an empty text, which names no site. */
function readShare(text: string): [site: string, parts: number] | undefined {
  if (text === '') return undefined;
  const [, site, parts] = /^([a-z0-9-]{1,40})=(\d{1,4}(?:\.\d{1,2})?)$/.exec(text) ?? [];
  if (site === undefined || !(Number(parts) > 0)) throw "a site's key and a number above 0, such as shop=3";
  return [site, Number(parts)];
}

function readTrust(text: string): boolean | string[] {
  if (text === 'no' || text === 'false') return false;
  if (text === 'yes' || text === 'true') return true;
  const list = text.split(',').map((part) => part.trim());
  if (!list.every(isProxy))
    throw 'no, yes, or a comma-separated list of addresses and CIDR ranges (10.0.0.0/8,127.0.0.1)';
  return list;
}

/** True for an address, a CIDR range, or a name for ranges. */
function isProxy(text: string): boolean {
  if (/^(loopback|linklocal|uniquelocal)$/.test(text)) return true;
  const [, address = '', prefix = '1'] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return Number(prefix) >= 1 && Number(prefix) <= longest;
}

/** Without the trailing slash; empty for the root. */
function readBasePath(text: string): string {
  const bare = text.replace(/\/+$/, '');
  if (bare === '') return '';
  const path = readPath(bare);
  if (/^\/v1(\/|$)/.test(path)) throw 'a path that the server does not use itself';
  return path;
}

function readPath(text: string): string {
  const path = text.startsWith('/') ? text : `/${text}`;
  if (!/^(\/[A-Za-z0-9._~-]+)+$/.test(path) || /\/\.\.?(\/|$)/.test(path))
    throw 'a path of letters, digits and . _ ~ - such as /fieldmouse.js';
  if (isReserved(path)) throw 'a path that the server does not use itself';
  return path;
}

const DURATION_UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 24 * 3_600_000, w: 7 * 24 * 3_600_000 } as const;
/** A number and a unit, as people write them: 30d, 30 days, 1W. Not `mo`: months differ. */
const DURATION = /^(\d{1,6}) ?(s|m|h|d|w|(?:sec|second|min|minute|hour|day|week)s?)$/i;

/** Returns a parser of durations from `minimum` to `maximum`; milliseconds. */
function readDuration(minimum: string, maximum: string): (text: string) => number {
  return (text) => {
    const ms = durationOf(text);
    if (!(ms >= durationOf(minimum) && ms <= durationOf(maximum)))
      throw `a time from ${minimum} to ${maximum}; units are s, m, h, d and w (seconds to weeks)`;
    return ms;
  };
}

/** NaN if the text is not a duration. */
function durationOf(text: string): number {
  const [, digits, unit = ''] = DURATION.exec(text) ?? [];
  return Number(digits) * (DURATION_UNITS[unit.charAt(0).toLowerCase() as keyof typeof DURATION_UNITS] ?? Number.NaN);
}

/** Bytes, by the first letters of the units. */
const DECIMAL = { k: 1e3, m: 1e6, g: 1e9, t: 1e12 } as const;
const BINARY = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;
const SIZE_UNITS = 'units are KB, MB, GB and TB, or KiB, MiB, GiB and TiB';

/** Bytes. */
function readSize(text: string): number {
  const size = bytesIn(text);
  if (!(size >= 8 * DECIMAL.m && size <= 100 * DECIMAL.t)) throw `from 8MB to 100TB, such as 10GB; ${SIZE_UNITS}`;
  return size;
}

function readVisitSize(text: string): number {
  const size = bytesIn(text);
  if (!(size >= DECIMAL.m && size <= 100 * DECIMAL.t)) throw `from 1MB to 100TB, such as 64MB; ${SIZE_UNITS}`;
  return size;
}

/** Bytes of a size as people write it: 10GB, 10gb, 10G, 10 GB, 10GiB; 0 if the text is not a size. */
function bytesIn(text: string): number {
  const [, digits = 0, letter = '', binary] = /^(\d{1,9}(?:\.\d+)?) ?([kmgt])(?:(i)b?|b)?$/i.exec(text) ?? [];
  const units: Record<string, number> = binary ? BINARY : DECIMAL;
  return Math.round(Number(digits) * (units[letter.toLowerCase()] ?? 0));
}

function integer(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < minimum || value > maximum) throw `a whole number from ${minimum} to ${maximum}`;
    return value;
  };
}

/** The values of all options by their flags. The difference between two starts shows what was changed. */
export function optionsOf(config: Config): Record<string, unknown> {
  return Object.fromEntries(Object.entries(OPTIONS).map(([key, { flag }]) => [flag, config[key as keyof Config]]));
}

export type OptionKey = keyof typeof OPTIONS;

/** Options as `--help` shows them, one paragraph each, wrapped at 80 columns: some in brief, or all in full. */
export function describeOptions(keys?: readonly OptionKey[]): string {
  return (keys ?? (Object.keys(OPTIONS) as OptionKey[]))
    .map((key) => describe(OPTIONS[key], keys !== undefined))
    .join('\n');
}

function describe(o: Option<unknown>, isBrief: boolean): string {
  const defaultText = typeof o.preset === 'function' ? o.preset() : o.preset;
  const notes = [`environment ${o.env.join(', ')}`, defaultText === '' ? '' : `default ${defaultText}`].filter(Boolean);
  const text = (isBrief && o.brief) || o.help;
  return flagText(`${o.short ? `-${o.short}, ` : ''}--${o.flag} ${o.value ?? ''}`, `${text} (${notes.join('; ')})`);
}

/** A flag with its description below. */
export function flagText(flag: string, text: string): string {
  return `  ${flag}\n${wrap(text, 8)}`;
}
