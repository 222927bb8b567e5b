/**
 * The page-visit counter: counts visits of a page, and returns the count as JSON or as a badge. It answers before a
 * route is looked up, which would cost more than the counting.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isLabel } from '../model/label.ts';
import { isPage } from '../model/page.ts';
import { isAllowedOrigin, type Site } from '../model/site.ts';
import { MAX_TEXT } from '../model/text.ts';
import { AddressLimit } from './address-limit.ts';
import { unknownSite } from './auth/guard.ts';
import { badge } from './badge-svg.ts';
import type { HttpOptions, Records } from './contract.ts';
import { originNotAllowed, preflightFields, sharedFields } from './cors.ts';
import { isPreparation, isProgram } from './counted-visit.ts';
import { onceATurn } from './once-a-turn.ts';
import type { peerReader } from './peer.ts';
import { comeBackLater, Problem, problemOf, type RaisedError, statusOf, writeProblem } from './problem.ts';
import { type Fields, flat, SCRIPT } from './security.ts';
import { type AnswerNote, noteWhenSent } from './static/fixed-files.ts';

const PREFIX = '/v1/hits/';
const SUFFIX = '.svg';
const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS'];
const DEMO = 'demo';
/** Maximum number of characters in a badge's label. */
export const LABEL_LIMIT = 40;
const RETRY_MS = 5000;
/** Minimum time between two log lines about counts that cannot be written, milliseconds. */
const LOG_MS = 60_000;

/** Answers a request. */
export type Answerer = (request: IncomingMessage, response: ServerResponse) => void;

interface Answer {
  status: number;
  fields: Fields;
  body: string;
}

/** A parsed request. */
interface HitRequest {
  request: IncomingMessage;
  /** The path behind the prefix, as it was sent. */
  path: string;
  query: URLSearchParams;
  host: string | undefined;
}

/**
 * True for requests that the counter answers. Other methods, and other spellings of its path, reach it by its routes.
 */
export function isHit({ url, method }: IncomingMessage): boolean {
  return url?.startsWith(PREFIX) === true && METHODS.includes(method as string);
}

export function hitCounter(
  options: HttpOptions,
  peerOf: ReturnType<typeof peerReader>,
  note: AnswerNote | undefined,
): Answerer {
  const { config, store, logger } = options;
  const limit = new AddressLimit(config.maxHits);
  const reply = replier(options);
  const siteBy = onceATurn((key) => store.site(key));

  return (request, response) => {
    if (note) noteWhenSent(note, request.method as string, `${PREFIX}*`, response);
    void answer(request, response);
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { address, host } = peerOf(request);
    const asked = read(request, host);
    let shared: Fields = [];
    let site: Site | undefined;
    try {
      site = isProbe(request) ? undefined : await siteOf(asked);
      shared = sharedFields(site, request, host);
      limit.count(address);
      const { status, fields, body } = await reply(asked, site);
      const own = [...NO_STORE, 'content-length', String(Buffer.byteLength(body))];
      const head = flat(shared, fields).concat(own);
      response.writeHead(status, head).end(request.method === 'HEAD' ? '' : body);
    } catch (raised) {
      const error = problemOf(raised as RaisedError);
      options.refused(site?.key ?? asked.query.get('site') ?? '', checkedOrigin(asked), String(error.code));
      if (statusOf(error) >= 500 && !(error instanceof Problem))
        logger.error({ err: error, method: request.method, route: `${PREFIX}*` }, 'request failed');
      writeProblem(response, error, shared, config.development);
    }
  }

  /** The named site. Without a name: the only site besides the demo, or the demo if it is the only one. */
  function siteOf({ query }: HitRequest): Promise<Site | undefined> {
    const key = query.get('site');
    return key === null ? onlySite(store) : siteBy(key);
  }
}

/** Returns a function that answers a request about a site. That function throws Problem. */
function replier(options: HttpOptions): (asked: HitRequest, site: Site | undefined) => Promise<Answer> | Answer {
  const { config, store } = options;
  const count = counter(options);

  return (asked, site) => {
    switch (asked.request.method) {
      case 'OPTIONS':
        if (!isProbe(asked.request)) checkOrigin(site, asked);
        return { status: 204, fields: preflightFields('GET', 'POST'), body: '' };
      case 'POST':
        return countVisit(asked, site);
      default:
        return asked.path.endsWith(SUFFIX) ? drawBadge(asked, site) : tellTotal(asked, site);
    }
  };

  async function countVisit(asked: HitRequest, site: Site | undefined): Promise<Answer> {
    const { key } = checkOrigin(site, asked);
    const page = pageOf(asked.path);
    const counted = isCounted(asked.request);
    const hits = await (counted ? count(key, page) : store.hits(key, page));
    return { status: 200, fields: JSON_FIELDS, body: `{"hits":${hits},"counted":${counted}}` };
  }

  async function tellTotal(asked: HitRequest, site: Site | undefined): Promise<Answer> {
    const { key } = checkOrigin(site, asked);
    return { status: 200, fields: JSON_FIELDS, body: `{"hits":${await store.hits(key, pageOf(asked.path))}}` };
  }

  async function drawBadge(asked: HitRequest, site: Site | undefined): Promise<Answer> {
    const { key } = checkOrigin(site, asked);
    const page = pageOf(asked.path.slice(0, -SUFFIX.length));
    const label = labelOf(asked.query);
    const counted = asked.request.method === 'GET' && isCounted(asked.request);
    const hits = await (counted ? count(key, page) : store.hits(key, page));
    return { status: 200, fields: SVG_FIELDS, body: badge(label, hits) };
  }

  function isCounted({ headers }: IncomingMessage): boolean {
    return !isPreparation(headers) && (config.countBots || !isProgram(headers['user-agent']));
  }
}

/**
 * OPTIONS without an Origin is not a preflight: a load balancer checks whether the server is alive, regardless of
 * sites.
 */
function isProbe({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers.origin === undefined;
}

const NO_STORE = ['cache-control', 'no-store'] as const;
const JSON_FIELDS: Fields = [['content-type', 'application/json; charset=utf-8']];
const SHARED_NAMES = ['cross-origin-resource-policy', 'x-content-type-options'];
const SVG_FIELDS: Fields = [
  ['content-type', 'image/svg+xml; charset=utf-8'],
  // Somebody may open it as a document.
  ...SCRIPT.filter(([name]) => !SHARED_NAMES.includes(name.toLowerCase())),
];

function read(request: IncomingMessage, host: string | undefined): HitRequest {
  // The route also accepts absolute URLs (RFC 9112 section 3.2.2), and other spellings of the prefix.
  const parts = /^(?:https?:\/\/[^/]*)?\/[^/]*\/[^/]*\/([^?#]*)\??([^#]*)/i.exec(request.url ?? '');
  return { request, path: parts?.[1] ?? '', query: new URLSearchParams(parts?.[2]), host };
}

async function onlySite(store: Records): Promise<Site | undefined> {
  const sites = await store.sites();
  const own = sites.filter((site) => site.key !== DEMO);
  return own.length === 0 ? sites[0] : own.length === 1 ? own[0] : undefined;
}

/**
 * Browsers send no Origin with an image request, unless the page asks for CORS; then `referer` is checked. Throws
 * Problem.
 */
function checkOrigin(site: Site | undefined, asked: HitRequest): Site {
  if (!site && !asked.query.has('site')) throw new Problem(400, 'bad-request', 'Name the site: ?site=KEY');
  if (!site) throw unknownSite();
  if (!isAllowedOrigin(site, checkedOrigin(asked), asked.host)) throw originNotAllowed();
  return site;
}

/** The origin of the page that asks, as far as the browser tells it. */
function checkedOrigin({ request: { headers }, path }: HitRequest): string | undefined {
  const { origin, referer } = headers;
  return origin ?? (path.endsWith(SUFFIX) && referer !== undefined ? originOf(referer) : undefined);
}

/** The origin of a URL; `null`, as browsers write it, for a URL without one. */
function originOf(address: string): string {
  try {
    return new URL(address).origin;
  } catch {
    // Not by URL.canParse: once Node 20 and 22 have optimised it, it is wrong about texts that are not ASCII.
    return 'null';
  }
}

/** Returns the page. Throws Problem if it is not valid. */
function pageOf(path: string): string {
  const text = decoded(path);
  const page = text === undefined ? '' : `/${text.replace(/^\/+/, '')}`;
  if (!isPage(page))
    throw new Problem(
      400,
      'bad-page',
      `A page is a path of at most ${MAX_TEXT.page} bytes without control characters.`,
    );
  return page;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Throws Problem. */
function labelOf(query: URLSearchParams): string {
  const label = (query.get('label') ?? 'visits').normalize('NFC');
  if (!isLabel(label, LABEL_LIMIT))
    throw new Problem(400, 'bad-request', `A label has 1 to ${LABEL_LIMIT} visible characters.`);
  return label;
}

/** Returns a function that counts a visit and resolves with the new total. That function throws Problem. */
function counter({ countHit, logger }: HttpOptions): (site: string, page: string) => Promise<number> {
  let logged = Number.NEGATIVE_INFINITY;
  return async (site, page) => {
    const total = await countHit(site, page).catch(refuse);
    switch (total) {
      case 'unknown-site':
        throw unknownSite();
      case 'too-many-pages':
        throw new Problem(403, total, 'This site has reached the maximum number of counted pages.');
      case 'busy':
        throw comeBackLater(503, total, 'Too many visits at once.', RETRY_MS);
      default:
        return total;
    }
  };

  function refuse(error: unknown): never {
    const problem = problemOf(error as RaisedError);
    if (problem instanceof Problem) throw problem;
    if (performance.now() - logged >= LOG_MS) {
      logged = performance.now();
      logger.error({ err: error }, 'visits cannot be counted');
    }
    throw comeBackLater(503, 'unavailable', 'Visits cannot be counted at the moment.', RETRY_MS);
  }
}
