/** Where Redis is: one server, or some nodes of a cluster. */

export interface Target {
  /** `redis://` or `rediss://` (TLS), each `[user[:password]@]host[:port][/database]`. Several: nodes of a cluster. */
  urls: readonly string[];
}

const SCHEMES = ['redis:', 'rediss:'];

/** Reads addresses with commas between. Throws a text that says what would be right. */
export function readTarget(text: string): Target | undefined {
  const urls = text.split(',').map((part) => part.trim());
  if (text.trim() === '') return undefined;
  for (const url of urls) {
    if (!isRedisUrl(url))
      throw 'redis://[user:password@]host[:port], rediss:// for TLS, or several nodes of a cluster with commas between';
    if (!isDecodable(url)) throw 'an address in which a % of the password is written as %25';
    if (urls.length > 1 && new URL(url).pathname.length > 1)
      throw 'addresses without a database: a cluster has only one';
  }
  return { urls };
}

function isRedisUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname } = new URL(text);
  return SCHEMES.includes(protocol) && hostname !== '' && /^(\/\d{0,3})?$/.test(pathname);
}

function isDecodable(url: string): boolean {
  const { username, password } = new URL(url);
  try {
    return decodeURIComponent(username + password) !== undefined;
  } catch {
    return false;
  }
}

/** For people and logs: without user and password. */
export function targetText({ urls }: Target): string {
  return urls
    .map((url) => new URL(url))
    .map(({ hostname, port }) => `${hostname}:${port || 6379}`)
    .join(', ');
}
