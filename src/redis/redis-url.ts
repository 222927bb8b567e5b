/** The address of Redis: one server, some nodes of a cluster, or a master that sentinels name. */

export interface RedisTarget {
  /**
   * `redis://` or `rediss://` (TLS), each `[user[:password]@]host[:port][/database]`. Several addresses are nodes of a
   * cluster. With sentinels there is one, and its host is the master's name.
   */
  urls: readonly string[];
  /** Addresses of sentinels, with ports and their own user and password. */
  sentinels?: readonly string[];
}

const SCHEMES = ['redis:', 'rediss:'];

/**
 * The form introduced by redis-sentinel-url and used by other clients: TLS, user and password, hosts, name, database,
 * parameters.
 */
const SENTINEL = /^redis(s?)\+sentinel:\/\/([^/?]*@)?([^/?@]+)\/([\w.-]+)(\/\d{1,3})?\/?(?:\?(.*))?$/;
/** The default in Redis' sentinel.conf. */
const SENTINEL_PORT = '26379';

const RIGHT =
  'redis://[user:password@]host[:port], rediss:// for TLS, several nodes of a cluster, separated by commas, or ' +
  'redis+sentinel://[user:password@]host[:port],host[:port]/NAME for the master of that name that sentinels ' +
  'monitor';

/** Parses comma-separated addresses, or that of sentinels. Throws a text that describes the correct form. */
export function readTarget(text: string): RedisTarget | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  const target = /^rediss?\+sentinel:/.test(trimmed)
    ? sentinelTarget(trimmed)
    : { urls: trimmed.split(',').map((part) => part.trim()) };
  const { urls, sentinels = [] } = target;
  for (const url of [...urls, ...sentinels]) {
    if (!isRedisUrl(url)) throw RIGHT;
    if (!isDecodable(url)) throw 'an address in which a % in the password is written as %25';
    if (urls.length > 1 && new URL(url).pathname.length > 1)
      throw 'addresses without a database number: a cluster has only one database';
  }
  return target;
}

function sentinelTarget(text: string): RedisTarget {
  const [whole, tls = '', who = '', hosts = '', name = '', database = '', parameters = ''] = SENTINEL.exec(text) ?? [];
  if (whole === undefined) throw RIGHT;
  const theirs = sentinelUser(parameters);
  return {
    urls: [`redis${tls}://${who}${name}${database}`],
    sentinels: hosts.split(',').map((host) => `redis${tls}://${theirs}${withPort(host.trim())}`),
  };
}

/**
 * Returns the user and password for sentinels, in the form used before a host. A + stands for itself, as in the
 * password before the hosts.
 */
function sentinelUser(parameters: string): string {
  const given = new URLSearchParams(parameters.replaceAll('+', '%2B'));
  const [user, password] = ['sentinel_username', 'sentinel_password'].map((name) => {
    const value = encodeURIComponent(given.get(name) ?? '');
    given.delete(name);
    return value;
  });
  if (given.size > 0) throw 'an address of sentinels with no parameters but sentinel_username and sentinel_password';
  return user || password ? `${user}:${password}@` : '';
}

function withPort(host: string): string {
  return /:\d+$/.test(host) ? host : `${host}:${SENTINEL_PORT}`;
}

function isRedisUrl(text: string): boolean {
  try {
    const { protocol, hostname, pathname } = new URL(text);
    return SCHEMES.includes(protocol) && hostname !== '' && /^(\/\d{0,3})?$/.test(pathname);
  } catch {
    return false;
  }
}

function isDecodable(url: string): boolean {
  const { username, password } = new URL(url);
  try {
    return decodeURIComponent(username + password) !== undefined;
  } catch {
    return false;
  }
}

/** Returns the address for people and logs, without user and password. */
export function targetText({ urls, sentinels }: RedisTarget): string {
  const where = (sentinels ?? urls).map(addressOf).join(', ');
  return sentinels ? `${new URL(urls[0] ?? '').hostname} (sentinels ${where})` : where;
}

/** Returns host and port of an address. */
export function addressOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || 6379}`;
}
