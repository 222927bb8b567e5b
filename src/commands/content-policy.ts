/**
 * What a page's Content Security Policy allows: https://www.w3.org/TR/CSP3/, as far as the visitor script needs it.
 * Browsers differ on `wss:`, so the strictest reading counts.
 */

/** The directives of one policy, by name. A policy is broken by any request that one of its directives forbids. */
export type Policy = ReadonlyMap<string, readonly string[]>;

/**
 * The directives that decide about a request, or about the page that has this one in a frame; the first that a policy
 * has counts. Sections 6.4.2 and 6.8.3.
 */
const DECIDING = {
  script: ['script-src-elem', 'script-src', 'default-src'],
  connect: ['connect-src', 'default-src'],
  ancestor: ['frame-ancestors'],
} as const;

/** Reads the value of a header, or of a meta element. Several policies are separated by commas. */
export function readPolicies(value: string | null): Policy[] {
  const policies = (value ?? '').split(',').map((text) => new Map(text.split(';').flatMap(readDirective)));
  return policies.filter(({ size }) => size > 0);
}

function readDirective(text: string): [name: string, sources: string[]][] {
  const [name, ...sources] = text.trim().split(/\s+/);
  return name ? [[name.toLowerCase(), sources]] : [];
}

/** Returns the directive of a page of `self` that forbids `url`; undefined if it is allowed. */
export function forbiddenBy(
  policies: readonly Policy[],
  kind: keyof typeof DECIDING,
  url: URL,
  self: URL,
  nonce?: string,
): string | undefined {
  for (const policy of policies) {
    const name = DECIDING[kind].find((one) => policy.has(one));
    if (name !== undefined && !allows(policy.get(name) as readonly string[], url, self, nonce)) return name;
  }
  return undefined;
}

function allows(sources: readonly string[], url: URL, self: URL, nonce: string | undefined): boolean {
  if (nonce && sources.includes(`'nonce-${nonce}'`)) return true;
  // Sources of hosts count for nothing beside it: section 8.2.
  if (sources.some((one) => one.toLowerCase() === "'strict-dynamic'")) return false;
  return sources.some((source) => matches(source.toLowerCase(), url, self));
}

/** Section 6.7.2.8. */
function matches(source: string, url: URL, self: URL): boolean {
  if (source === '*') return /^(?:https?|wss?):$/.test(url.protocol);
  if (source === "'self'") return url.host === self.host;
  const scheme = /^([a-z][a-z0-9+.-]*:)$/.exec(source)?.[1];
  if (scheme !== undefined) return matchesScheme(scheme, url);
  const [, own, host, port, path] =
    /^(?:([a-z][a-z0-9+.-]*:)\/\/)?(\*|(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(\d+|\*))?(\/[^?#]*)?$/.exec(source) ??
    [];
  if (host === undefined) return false;
  return (
    matchesScheme(own ?? self.protocol, url) &&
    matchesHost(host, url.hostname) &&
    matchesPort(port, url) &&
    matchesPath(path, url.pathname)
  );
}

const STRICTER: Readonly<Record<string, readonly string[]>> = { 'http:': ['https:'], 'ws:': ['wss:'] };

/** A source also allows the encrypted form of its scheme. */
function matchesScheme(scheme: string, { protocol }: URL): boolean {
  return protocol === scheme || (STRICTER[scheme]?.includes(protocol) ?? false);
}

function matchesHost(pattern: string, host: string): boolean {
  if (pattern === '*') return true;
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern;
}

/** A path that ends with a slash allows everything below it. */
function matchesPath(pattern: string | undefined, path: string): boolean {
  if (pattern === undefined || pattern === '/') return true;
  return pattern.endsWith('/') ? path.toLowerCase().startsWith(pattern) : path.toLowerCase() === pattern;
}

/** Without a port, a source allows the default port of the request's scheme. */
function matchesPort(port: string | undefined, { port: asked, protocol }: URL): boolean {
  if (port === undefined || port === '*') return port === '*' || asked === '';
  return port === (asked || (protocol === 'https:' || protocol === 'wss:' ? '443' : '80'));
}
