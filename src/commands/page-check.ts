/** What the source of a page tells about the visitor script: its tag, and what the page allows it. */
import { Parser } from 'htmlparser2';
import { SITE_KEY } from '../model/site.ts';
import { forbiddenBy, type Policy, readPolicies } from './content-policy.ts';

/**
 * ok: as it should be · note: good to know · fault: visitors are not seen until it is mended · blind: it cannot be seen
 * from outside
 */
export type Level = 'ok' | 'note' | 'fault' | 'blind';

export interface Finding {
  level: Level;
  text: string;
}

export interface FetchedPage {
  /** After redirects. */
  url: URL;
  headers: Headers;
  html: string;
}

/** The script element of a page. */
export interface ScriptTag {
  src: URL;
  /** Its `data-site`. */
  site: string | undefined;
  nonce: string | undefined;
  /** It does nothing before `fieldmouse.start()`. */
  waitsForConsent: boolean;
  /** Its `type`, unless it is one of a script. */
  otherType: string | undefined;
}

interface Source {
  tags: ScriptTag[];
  policies: Policy[];
}

const SCRIPT_TYPES = ['', 'text/javascript', 'application/javascript'];

/** Reads the elements of a page that matter. `scriptPath`: where servers have the script. */
export function readSource({ url, headers, html }: FetchedPage, scriptPath: string): Source {
  const tags: ScriptTag[] = [];
  /** Scripts at another path. Other products have an attribute of this name, too. */
  const others: ScriptTag[] = [];
  const policies = readPolicies(headers.get('content-security-policy'));
  let base: URL | undefined;
  const parser = new Parser({
    onopentag(name, attributes) {
      if (name === 'base') base ??= urlIn(attributes.href ?? '', url);
      if (name === 'meta' && attributes['http-equiv']?.toLowerCase() === 'content-security-policy')
        policies.push(...readPolicies(attributes.content ?? ''));
      const src = name === 'script' ? urlIn(attributes.src ?? '', base ?? url) : undefined;
      if (src && isOurs(src, scriptPath)) tags.push(tagOf(src, attributes));
      else if (src && 'data-site' in attributes) others.push(tagOf(src, attributes));
    },
  });
  parser.end(html);
  return { tags: tags.length > 0 ? tags : others, policies };
}

function isOurs({ pathname }: URL, scriptPath: string): boolean {
  return pathname.endsWith(scriptPath) || pathname.endsWith('/fieldmouse.js');
}

function tagOf(src: URL, attributes: Record<string, string>): ScriptTag {
  const type = (attributes.type ?? '').trim().toLowerCase();
  return {
    src,
    site: attributes['data-site'],
    nonce: attributes.nonce,
    waitsForConsent: attributes['data-consent'] === 'required',
    otherType: SCRIPT_TYPES.includes(type) ? undefined : type,
  };
}

/** The http or https URL that a text names; undefined if there is none. */
export function urlIn(text: string, base?: URL): URL | undefined {
  try {
    const url = text.trim() === '' ? undefined : new URL(text.trim(), base);
    return url && /^https?:$/.test(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}

/** Returns what the tags of a page say, without the network. */
export function checkTags({ url }: Pick<FetchedPage, 'url'>, { tags }: Pick<Source, 'tags'>): Finding[] {
  const [tag, ...more] = tags;
  if (!tag)
    return [
      {
        level: 'blind',
        text:
          'the source of the page has no Fieldmouse script: paste the snippet of Settings before </head>. If a bundler ' +
          'or a tag manager adds the script, that cannot be seen from here',
      },
    ];
  const findings = [keyFinding(tag)];
  if (more.length > 0)
    findings.push(note(`the page has the script ${tags.length} times; only the first has an effect`));
  if (url.protocol === 'https:' && tag.src.protocol === 'http:')
    findings.push(fault(`browsers block the script, because the page uses https and ${tag.src.href} does not`));
  if (tag.otherType !== undefined) findings.push(typeFinding(tag.otherType));
  if (tag.waitsForConsent)
    findings.push(note('the script waits for consent: nothing is sent before the page calls fieldmouse.start()'));
  return findings;
}

function typeFinding(type: string): Finding {
  if (type === 'module')
    return fault('the script has type="module", in which it does not find its own tag: remove the type');
  return note(`the script has the type ${quoted(type)}: it runs only when another script changes that`);
}

/** A text of the page in quotes, on one line and without characters that control a terminal. */
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, MAX_QUOTED).replace(/\p{C}/gu, '?'));
}

const MAX_QUOTED = 60;

function keyFinding({ site }: ScriptTag): Finding {
  if (site === undefined) return fault('the script has no data-site: copy the snippet again');
  if (!SITE_KEY.test(site))
    return fault(`data-site is ${quoted(site)}, which is not a site key: copy the snippet again`);
  return ok(`the page has the script, for the site ${site}`);
}

/** Returns what the page's policy says about the script and its connections to `endpoint`. */
export function checkPolicies(
  { url }: Pick<FetchedPage, 'url'>,
  { src, nonce }: ScriptTag,
  endpoint: URL,
  policies: readonly Policy[],
): Finding[] {
  if (policies.length === 0) return [ok('the page has no Content Security Policy')];
  const findings: Finding[] = [];
  const script = forbiddenBy(policies, 'script', src, url, nonce);
  if (script) findings.push(fault(`the Content Security Policy forbids the script: add ${src.origin} to ${script}`));
  const post = forbiddenBy(policies, 'connect', endpoint, url);
  const socket = new URL(endpoint.href.replace('http', 'ws'));
  if (post)
    findings.push(
      fault(`the Content Security Policy forbids connections: add ${endpoint.origin} and ${socket.origin} to ${post}`),
    );
  else {
    const live = forbiddenBy(policies, 'connect', socket, url);
    if (live)
      findings.push(
        note(
          `the Content Security Policy forbids ${socket.origin}: add it to ${live}, or visitors send by POST, half a ` +
            'second late',
        ),
      );
  }
  return findings.length > 0 ? findings : [ok('the Content Security Policy allows the script and its connections')];
}

/** Returns whether a dashboard at `server` may show the page behind the pointers. */
export function checkFraming({ url, headers }: Pick<FetchedPage, 'url' | 'headers'>, server: URL): Finding {
  if (!forbidsFrame(headers, server, url)) return ok('the dashboard may show the page behind the pointers');
  return note(
    'the page forbids frames, so the dashboard shows the pointers without it. To change that, send ' +
      `Content-Security-Policy: frame-ancestors 'self' ${server.origin}`,
  );
}

function forbidsFrame(headers: Headers, server: URL, url: URL): boolean {
  const policies = readPolicies(headers.get('content-security-policy'));
  if (policies.some((policy) => policy.has('frame-ancestors')))
    return forbiddenBy(policies, 'ancestor', server, url) !== undefined;
  const option = headers.get('x-frame-options')?.trim().toLowerCase();
  return option === 'deny' || (option === 'sameorigin' && server.origin !== url.origin);
}

export const ok = (text: string): Finding => ({ level: 'ok', text });
export const note = (text: string): Finding => ({ level: 'note', text });
export const fault = (text: string): Finding => ({ level: 'fault', text });
