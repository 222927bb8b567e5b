/** The command that finds out why a page's visitors are not seen. */
import type { Config } from '../config/config.ts';
import { type Command, type ExitCode, type Invocation, refuseRunning } from './command.ts';
import {
  checkFraming,
  checkPolicies,
  checkTags,
  type FetchedPage,
  type Finding,
  fault,
  type Level,
  note,
  ok,
  readSource,
  type ScriptTag,
  urlIn,
} from './page-check.ts';

export const DOCTOR_COMMANDS: Readonly<Record<string, Command>> = {
  doctor: {
    does: 'finds out why visitors of a page are not seen',
    more:
      'It reads the page and asks the server that the script tag names: is the script there, is the site known, is ' +
      'the origin allowed, does a Content Security Policy forbid it? It makes no visitor. The exit code is 1 if ' +
      'visitors are not seen, or if that cannot be told.',
    usage: 'URL',
    takes: 'URL',
    options: ['scriptPath', 'endpoint'],
    examples: ['doctor https://shop.example'],
    check: ({ word }) =>
      word === '' || pageUrl(word)
        ? []
        : [`doctor: ${JSON.stringify(word)} is no web address; write it as https://shop.example`],
    run: examine,
  },
};

/** How long each request may take, milliseconds, and how much of an answer is read, bytes. */
const TIMEOUT_MS = 10_000;
const MAX_BYTES = 5_000_000;

function pageUrl(word: string): URL | undefined {
  return /^https?:\/\//i.test(word) ? urlIn(word) : undefined;
}

async function examine({ word, config, io }: Invocation): Promise<ExitCode> {
  const page = await fetchPage(pageUrl(word) as URL).catch((error: Error) => error);
  if (page instanceof Error) return refuseRunning(io, `${word} does not answer: ${reasonOf(page)}`);
  if (!page.ok) return refuseRunning(io, `${page.url} answers with status ${page.status}`);
  const levels = new Set<Level>();
  io.out(`${page.url}`);
  for await (const { level, text } of findings(page, config)) {
    io.out(`  ${level.padEnd(5)}  ${text}`);
    levels.add(level);
  }
  if (levels.has('fault')) io.out('Visitors of this page are not seen.');
  else if (levels.has('blind')) io.out('Whether visitors of this page are seen cannot be told from outside.');
  else io.out('Visitors of this page should be seen.');
  return levels.has('fault') || levels.has('blind') ? 1 : 0;
}

async function* findings(page: FetchedPage, config: Config): AsyncGenerator<Finding> {
  const { tags, policies } = readSource(page, config.scriptPath);
  yield* checkTags(page, { tags });
  const [tag] = tags;
  if (!tag) return;
  const script = await fetchPage(tag.src).catch((error: Error) => error);
  const endpoint = endpointOf(tag, script instanceof Error ? '' : script.html, config);
  yield scriptFinding(tag, script);
  if (!(script instanceof Error) && script.ok && tag.site !== undefined)
    yield await siteFinding(page, tag.site, endpoint);
  yield* checkPolicies(page, tag, endpoint, policies);
  yield checkFraming(page, tag.src);
}

function scriptFinding({ src }: ScriptTag, script: Awaited<ReturnType<typeof fetchPage>> | Error): Finding {
  if (script instanceof Error) return fault(`the script ${src} cannot be loaded: ${reasonOf(script)}`);
  if (!script.ok) return fault(`the script ${src} answers with status ${script.status}`);
  if (!/javascript/.test(script.headers.get('content-type') ?? ''))
    return fault(`${src} is not a script but ${script.headers.get('content-type') ?? 'something without a type'}`);
  return ok(`the script loads from ${src.origin}`);
}

/** A server puts its endpoint into the script. Below a path, the script and the endpoint have the same one. */
function endpointOf({ src }: ScriptTag, script: string, { endpoint, scriptPath }: Config): URL {
  const said = /\bendpoint:\w+="(\/[^"]*)"/.exec(script)?.[1];
  const base = src.pathname.endsWith(scriptPath) ? src.pathname.slice(0, -scriptPath.length) : '';
  return new URL(said ?? base + endpoint, src.origin);
}

/** A GET of the endpoint says whether the site and the origin are known, and makes no visitor. */
async function siteFinding({ url }: FetchedPage, site: string, endpoint: URL): Promise<Finding> {
  const asked = new URL(endpoint);
  asked.searchParams.set('site', site);
  const answer = await fetchPage(asked, { origin: url.origin }).catch((error: Error) => error);
  if (answer instanceof Error) return fault(`the server does not answer at ${endpoint}: ${reasonOf(answer)}`);
  const code = codeIn(answer.html);
  if (code === 'unknown-site') return fault(`the server has no site with the key ${site}`);
  if (code === 'origin-not-allowed')
    return fault(`the site ${site} does not allow ${url.origin}: add it in Settings, or with fieldmouse site add`);
  // An allowed page is told to use a WebSocket.
  if (code === 'upgrade-required') return ok(`the site ${site} allows ${url.origin}`);
  return note(`${endpoint} does not tell whether the site is allowed: it answers with status ${answer.status}`);
}

function codeIn(text: string): string | undefined {
  try {
    const { code } = JSON.parse(text) as { code?: unknown };
    return typeof code === 'string' ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Follows redirects. Throws if there is no answer in time. */
async function fetchPage(
  url: URL,
  headers: Record<string, string> = {},
): Promise<FetchedPage & { ok: boolean; status: number }> {
  const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  const { ok, status } = response;
  return { ok, status, url: new URL(response.url), headers: response.headers, html: await textOf(response) };
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.length;
    text += decoder.decode(part, { stream: true });
    if (bytes > MAX_BYTES) break;
  }
  return text + decoder.decode();
}

/** `fetch` hides the reason in `cause`. */
function reasonOf({ message, name, cause }: Error): string {
  if (name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  return cause instanceof Error ? cause.message : message;
}
