/**
 * What a page's Content Security Policy allows: https://www.w3.org/TR/CSP3/, as far as the visitor script needs it.
 * Safari does not take an `https:` source to include `wss:`, so it does not here.
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
  // Of a directive that is there twice, the first counts.
  const policies = (value ?? '').split(',').map((text) => new Map(text.split(';').flatMap(readDirective).reverse()));
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
    if (name !== undefined && !allows(policy.get(name) as readonly string[], kind, url, self, nonce)) return name;
  }
  return undefined;
}

function allows(
  sources: readonly string[],
  kind: keyof typeof DECIDING,
  url: URL,
  self: URL,
  nonce: string | undefined,
): boolean {
  if (kind !== 'script') return sources.some((source) => matches(source, url, self));
  if (nonce && sources.includes(`'nonce-${nonce}'`)) return true;
  // Sources of hosts count for nothing beside it: section 8.2.
  if (sources.some((one) => one.toLowerCase() === "'strict-dynamic'")) return false;
  return sources.some((source) => matches(source, url, self));
}

/** Section 6.7.2.8. */
function matches(source: string, url: URL, self: URL): boolean {
  if (source === '*') return /^(?:https?|wss?):$/.test(url.protocol);
  // Since 2022 all browsers take it to include a socket of the same host.
  if (source.toLowerCase() === "'self'") return url.host === self.host && (isSecure(url) || !isSecure(self));
  const scheme = /^([a-z][a-z0-9+.-]*:)$/i.exec(source)?.[1];
  if (scheme !== undefined) return matchesScheme(scheme.toLowerCase(), url);
  const [, own, host, port, path] =
    /^(?:([a-z][a-z0-9+.-]*:)\/\/)?(\*|(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(\d+|\*))?(\/[^?#]*)?$/i.exec(
      source,
    ) ?? [];
  if (host === undefined) return false;
  return (
    matchesScheme(own?.toLowerCase() ?? self.protocol, url) &&
    matchesHost(host.toLowerCase(), url.hostname) &&
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
  return pattern.endsWith('/') ? path.startsWith(pattern) : path === pattern;
}

/** Without a port, a source allows the default port of the request's scheme. */
function matchesPort(port: string | undefined, { port: asked, protocol }: URL): boolean {
  if (port === undefined || port === '*') return port === '*' || asked === '';
  const used = asked || (isSecure({ protocol }) ? '443' : '80');
  return port === used || (port === '80' && used === '443');
}

function isSecure({ protocol }: Pick<URL, 'protocol'>): boolean {
  return protocol === 'https:' || protocol === 'wss:';
}
