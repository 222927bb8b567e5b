/**
 * What does HTTP cost? Pages, the visitor script, POSTs and the API, each beside a bare `node:http` server that
 * answers the same bytes from memory, with as many workers, in the same run.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { HttpAnswers } from './baselines/http.ts';
import type { Length } from './engine.ts';
import { spread, spreadText, type Table, type Target } from './figures.ts';
import type { HttpRequest, RequestReport } from './load/messages.ts';
import { Loader } from './load/process.ts';
import { type System, start, TOKEN } from './systems.ts';
import { cpuSince } from './tree.ts';

const CONNECTIONS = 50;
const WARM_UP_S = 1;
/** The encodings that browsers accept. */
const HEADERS = { 'accept-encoding': 'gzip, deflate, br' };
/** Number of client addresses, which a proxy reports: an address may send a worker 600 API requests per minute. */
const ADDRESSES = 2000;
/** A visitor may POST ten times a second, so each is a new one, and leaves at once so that they do not pile up. */
const VISIT: HttpRequest = {
  method: 'POST',
  path: '/v1/visit?site=demo&page=/',
  headers: { ...HEADERS, 'content-type': 'application/json' },
  body: '[{"x":120,"y":340},{"type":"bye"}]',
};
/** The requests that are made of a route. */
interface Route {
  requests: HttpRequest[];
  connections?: number;
}

/** A new visitor waits for the disk, so the rate grows with the number of connections. */
const MANY = 200;
const MANY_VISITS = `POST /v1/visit, ${MANY} connections`;
const MIN_VISITS_PER_S = 4000;

const ROUTES = new Map<string, Route>([
  ['GET /', { requests: [{ method: 'GET', path: '/', headers: HEADERS }] }],
  ['GET /fieldmouse.js', { requests: [{ method: 'GET', path: '/fieldmouse.js', headers: HEADERS }] }],
  ['GET /v1/sites', { requests: Array.from({ length: ADDRESSES }, (_, i) => apiRequest(`10.0.${i >> 8}.${i & 255}`)) }],
  ['POST /v1/visit', { requests: [VISIT] }],
  [MANY_VISITS, { requests: [VISIT], connections: MANY }],
]);

interface Run extends RequestReport {
  /** Of the whole tree, µs per answer. */
  perAnswer: number;
  loadShare: number;
}

/** The runs of one route, ours and the bare server's. */
interface Pair {
  ours: Run[];
  bare: Run[];
}

export async function http({ runs, seconds }: Length): Promise<Table> {
  const load = new Loader('requests');
  const ours = await start('fieldmouse', ['--trust-proxy', 'yes']);
  try {
    const bare = await start('http', [JSON.stringify(await answersOf(ours.port))]);
    try {
      return table(await inTurn(load, { ours, bare }, runs, seconds / 2));
    } finally {
      await bare.stop();
    }
  } finally {
    await load.end();
    await ours.stop();
  }
}

function apiRequest(address: string): HttpRequest {
  const headers = { ...HEADERS, authorization: `Bearer ${TOKEN}`, 'x-forwarded-for': address };
  return { method: 'GET', path: '/v1/sites', headers };
}

async function ask(port: number, { body, ...options }: HttpRequest): Promise<{ reply: IncomingMessage; body: Buffer }> {
  const asked = request({ ...options, port, host: '127.0.0.1' });
  asked.end(body);
  const [reply] = (await once(asked, 'response')) as [IncomingMessage];
  if (reply.statusCode !== 200) throw new Error(`${options.method} ${options.path}: ${reply.statusCode}`);
  return { reply, body: await buffer(reply) };
}

/** Returns the response of the bare server: our bytes, and the fields that a client needs to read them. */
async function answersOf(port: number): Promise<HttpAnswers> {
  const answers: HttpAnswers = {};
  for (const [name, { requests }] of ROUTES) {
    const { reply, body } = await ask(port, requests[0] as HttpRequest);
    const { 'content-type': type = '', 'content-encoding': encoding } = reply.headers;
    const headers = { 'content-type': type, ...(encoding && { 'content-encoding': encoding }) };
    answers[name] = { headers, base64: body.toString('base64') };
  }
  return answers;
}

/** Measures each route on both servers, one after the other, `runs` times. */
async function inTurn(
  load: Loader,
  systems: { ours: System; bare: System },
  runs: number,
  seconds: number,
): Promise<Map<string, Pair>> {
  const pairs = new Map<string, Pair>();
  for (const [name, route] of ROUTES) {
    const pair: Pair = { ours: [], bare: [] };
    pairs.set(name, pair);
    for (const system of Object.values(systems)) await measure(load, system, route, WARM_UP_S);
    for (let i = 0; i < runs; i++) {
      process.stderr.write(`  ${name}, run ${i + 1} of ${runs}\n`);
      pair.ours.push(await measure(load, systems.ours, route, seconds));
      pair.bare.push(await measure(load, systems.bare, route, seconds));
    }
  }
  return pairs;
}

async function measure(load: Loader, { port, tree }: System, route: Route, seconds: number): Promise<Run> {
  const { requests, connections = CONNECTIONS } = route;
  const before = tree.cpu();
  const report = await load.ask({ k: 'requests', port, connections, seconds, requests }, 'answered');
  const cpu = cpuSince(tree, before);
  return { ...report, perAnswer: (1000 * cpu.all) / report.answered, loadShare: report.cpuMs / (10 * seconds) };
}

function table(pairs: ReadonlyMap<string, Pair>): Table {
  return {
    title: 'HTTP',
    text:
      `${CONNECTIONS} connections (${MANY} where the row says so) without pipelining, in a separate process. Each route is measured beside a bare \`node:http\` server that sends ` +
      'the same bytes. Each POST is the hello and bye of a new visitor, whom the primary admits and whose frame is on disk before the response.',
    head: ['', 'requests/s', 'CPU µs per request', 'p50 ms', 'p99 ms', 'failed', 'load %'],
    rows: [...pairs].flatMap(([name, { ours, bare }]) => [row(name, ours), row(`${name}, bare server`, bare)]),
    targets: [
      ...['GET /', 'GET /fieldmouse.js'].map((name) => target(name, pairs.get(name) as Pair)),
      visitsTarget((pairs.get(MANY_VISITS) as Pair).ours),
    ],
  };
}

function row(name: string, runs: Run[]): string[] {
  const of = (figure: (run: Run) => number) => spread(runs.map(figure));
  return [
    name,
    spreadText(
      of((run) => run.rate),
      0,
    ),
    spreadText(of((run) => run.perAnswer)),
    String(of((run) => run.p50).median),
    String(of((run) => run.p99).median),
    String(runs.reduce((sum, run) => sum + run.failed, 0)),
    of((run) => run.loadShare).median.toFixed(0),
  ];
}

function target(name: string, { ours, bare }: Pair): Target {
  const over = (figure: (run: Run) => number) => spread(ours.map((run, i) => figure(run) / figure(bare[i] as Run)));
  const rate = over((run) => run.rate);
  const cpu = spreadText(
    over((run) => run.perAnswer),
    2,
  );
  return {
    what: `${name}: requests/s relative to the bare server`,
    wanted: '≥ 0.8',
    got: `${spreadText(rate, 2)}; CPU per request ${cpu} times`,
    met: rate.median >= 0.8,
  };
}

function visitsTarget(runs: Run[]): Target {
  const rate = spread(runs.map((run) => run.rate));
  return {
    what: `${MANY_VISITS}: new visitors/s`,
    wanted: `≥ ${MIN_VISITS_PER_S}`,
    got: spreadText(rate, 0),
    met: rate.median >= MIN_VISITS_PER_S,
  };
}
