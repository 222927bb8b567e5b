/**
 * Measures many dashboards that open at once, as after a restart, and that all restart because events are missing. The
 * hub runs in one process and the dashboards in another. One more stream is open all the time and measures how late
 * events arrive.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { noBroker } from '../src/broker/no-broker.ts';
import { Hub } from '../src/hub/hub.ts';
import { createLogger } from '../src/log/logger.ts';
import { type Arrival, type RelayItem, TAG, type ToPrimary, type ToWorker } from '../src/protocol/ipc.ts';
import type { Length } from './engine.ts';
import { spread, spreadText, type Table, type Target } from './figures.ts';

const VISITORS = 2000;
const STREAMS = 1000;
/** Streams of one account: each has its own budget of snapshots. */
const STREAMS_EACH = 20;
/** Clicks a second of all visitors. */
const CLICKS = 200;
const WORKER = 1;
const QUIET_MS = 2000;
const LIMIT_MS = 60_000;
const STALL_MS = 100;
const RSS_MB = 250;
const LATE_MS = 500;

/** What one of the two moments cost. */
interface Moment {
  /** Until every dashboard had its snapshot, ms. */
  allMs: number;
  /** The longest time in which the hub's process did nothing else, ms. */
  stallMs: number;
  rssMb: number;
  /** From a click to the further stream, 99th percentile, ms. */
  p99: number;
}

export async function dashboards({ runs }: Length): Promise<Table> {
  const all: { opened: Moment; restarted: Moment }[] = [];
  for (let run = 1; run <= runs; run++) {
    process.stderr.write(`  dashboards, run ${run} of ${runs}\n`);
    all.push(await oneRun());
  }
  const [opened, restarted] = [all.map((run) => run.opened), all.map((run) => run.restarted)];
  const row = (name: string, of: (moment: Moment) => number) => [
    name,
    ...[opened, restarted].map((moments) => spreadText(spread(moments.map(of)), 0)),
  ];
  return {
    title: 'dashboards: many streams at once',
    text:
      `${STREAMS.toLocaleString('en')} streams of a site with ${VISITORS.toLocaleString('en')} visitors, who click ${CLICKS} times a second. All streams open at the same ` +
      'moment, and later restart at the same moment. The hub runs alone, in a separate process.',
    head: ['', 'all open at once', 'all restart at once'],
    rows: [
      row('time until all have a snapshot, ms', ({ allMs }) => allMs),
      row('longest stall of the event loop, ms', ({ stallMs }) => stallMs),
      row('peak resident memory, MB', ({ rssMb }) => rssMb),
      row('from a click to another stream, p99, ms', ({ p99 }) => p99),
    ],
    targets: [
      target('longest stall of the event loop', STALL_MS, [...opened, ...restarted], ({ stallMs }) => stallMs, 'ms'),
      target('resident memory', RSS_MB, [...opened, ...restarted], ({ rssMb }) => rssMb, 'MB'),
      target("other streams' p99", LATE_MS, [...opened, ...restarted], ({ p99 }) => p99, 'ms'),
    ],
  };
}

function target(what: string, limit: number, moments: Moment[], of: (moment: Moment) => number, unit: string): Target {
  const { median, min, max } = spread(moments.map(of));
  return {
    what,
    wanted: `≤ ${limit} ${unit}`,
    got: `${spreadText({ median, min, max }, 0)} ${unit}`,
    met: max <= limit,
  };
}

type Pair = [ChildProcess, ChildProcess];

async function oneRun(): Promise<{ opened: Moment; restarted: Moment }> {
  const [hub, readers] = ['hub', 'readers'].map((name) => fork(fileURLToPath(import.meta.url), [name])) as Pair;
  const { port } = (await told(hub)) as { port: number };
  const watcher = new Reader(port, 0);
  await until(() => watcher.snapshots === 1);
  try {
    const opened = await momentOf(hub, watcher, () => ask(readers, { port, snapshots: 1 }));
    await sleep(QUIET_MS);
    const restarted = await momentOf(hub, watcher, () => {
      hub.send('restart');
      return ask(readers, { port, snapshots: 2 });
    });
    return { opened, restarted };
  } finally {
    watcher.close();
    hub.kill();
    readers.kill();
  }
}

async function momentOf(child: ChildProcess, watcher: Reader, play: () => Promise<unknown>): Promise<Moment> {
  await ask(child, 'measure');
  watcher.late.length = 0;
  const start = performance.now();
  await play();
  const allMs = performance.now() - start;
  const late = watcher.late.toSorted((a, b) => a - b);
  const figures = (await ask(child, 'measure')) as { stallMs: number; rssMb: number };
  return { allMs, ...figures, p99: late[Math.floor(0.99 * late.length)] ?? 0 };
}

async function ask(child: ChildProcess, what: string | Wanted): Promise<unknown> {
  child.send(what);
  return told(child);
}

async function told(child: ChildProcess): Promise<unknown> {
  return ((await once(child, 'message')) as [unknown])[0];
}

async function until(test: () => boolean): Promise<void> {
  for (const end = performance.now() + LIMIT_MS; !test(); await sleep(5))
    if (performance.now() > end) throw new Error(`not within ${LIMIT_MS} ms`);
}

const SNAPSHOT = Buffer.from('event: snapshot\n');
const CLICK = /event: click\ndata: \{"t":(\d+)/g;

/** Counts snapshots; the first one also notes how late clicks are. */
class Reader {
  snapshots = 0;
  readonly late: number[] = [];
  readonly #socket: Socket;

  constructor(port: number, no: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.write(`${no}\n`);
    this.#socket.on('error', () => {});
    let end = Buffer.alloc(0);
    this.#socket.on('data', (bytes) => {
      // The name may be at the end of one part and the start of the next.
      if (Buffer.concat([end, bytes]).includes(SNAPSHOT)) this.snapshots += 1;
      end = bytes.subarray(1 - SNAPSHOT.length);
      if (no === 0)
        for (const [, t] of bytes.toString('latin1').matchAll(CLICK)) this.late.push(Date.now() - Number(t));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** To the process of the dashboards: answer when each of them has so many snapshots. */
interface Wanted {
  port: number;
  snapshots: number;
}

function runReaders(): void {
  const readers: Reader[] = [];
  process.on('disconnect', () => process.exit());
  process.on('message', async ({ port, snapshots: wanted }: Wanted) => {
    while (readers.length < STREAMS) readers.push(new Reader(port, readers.length + 1));
    await until(() => readers.every(({ snapshots }) => snapshots === wanted));
    process.send?.('done');
  });
}

/** The process of the hub: `measure` answers with what it cost since the last time, `restart` restarts all streams. */
async function runHub(): Promise<void> {
  const granted: number[] = [];
  const hub = hubWith((message) => {
    if (message.k === 'grants')
      for (let i = 1; i < message.grants.length; i += 4) granted.push(message.grants[i] as number);
  });
  const receive = (message: ToPrimary, socket?: Socket) => hub.receive(WORKER, message, socket);
  for (let claim = 1; claim <= VISITORS; claim++)
    receive({ tag: TAG, k: 'batch', items: [{ k: 'claim', claim, arrival: arrival(claim), posted: null, last: 0 }] });
  let n = 0;
  setInterval(() => {
    const items = Array.from({ length: CLICKS / 50 }, () => click(granted[n % VISITORS] as number, ++n));
    receive({ tag: TAG, k: 'batch', items });
  }, 20);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  let rss = 0;
  setInterval(() => {
    rss = Math.max(rss, process.memoryUsage.rss());
  }, 50);
  process.on('disconnect', () => process.exit());
  process.on('message', (what) => {
    if (what === 'restart') receive({ tag: TAG, k: 'sync', visitors: present(granted), pending: [], sites: ['demo'] });
    else {
      process.send?.({ stallMs: delay.max / 1e6, rssMb: Math.max(rss, process.memoryUsage.rss()) / 2 ** 20 });
      delay.reset();
      rss = 0;
    }
  });
  const server = createServer((socket) => {
    socket.once('data', (bytes) =>
      receive({ tag: TAG, k: 'stream', request: request(Number(bytes)), past: null }, socket),
    );
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: STREAMS }, () =>
    process.send?.({ port: (server.address() as { port: number }).port }),
  );
}

function hubWith(send: (message: ToWorker) => void): Hub {
  const hub = new Hub({
    graceMs: 1500,
    maxStreams: 2 * STREAMS,
    maxStreamsEach: STREAMS,
    version: 'bench',
    log: createLogger('silent', 'bench'),
    send: (_, message) => send(message),
    sendAll: () => {},
    allowed: async () => true,
    keep: async () => true,
    machine: 'bench',
    others: noBroker,
  });
  noBroker.start(hub);
  return hub;
}

function arrival(no: number): Arrival {
  return {
    id: `visitor-${String(no).padStart(14, '0')}`,
    site: 'demo',
    page: `/page/${no % 50}`,
    origin: 'https://example.com',
    since: Date.now(),
    device: 'desktop',
    at: [100, 200],
    hidden: false,
    label: '',
    size: [1280, 720, 1280, 2000],
    language: 'en-GB',
    referrer: 'https://example.org',
  };
}

function present(granted: readonly number[]): (Arrival & { v: number; n: number })[] {
  return granted.map((v, i) => ({ ...arrival(i + 1), v, n: 0 }));
}

function click(v: number, n: number): RelayItem {
  const mark = { type: 'click', x: 100, y: 200, button: 0, ex: 1, ey: 1, selector: '#buy' } as const;
  return { k: 'mark', v, n, i: 0, t: Date.now(), page: '/', mark };
}

function request(no: number) {
  const holders = [`account-${Math.floor(no / STREAMS_EACH)}`];
  const view = { site: 'demo', page: null, visitor: null, stage: null, moves: 'latest' } as const;
  return { ...view, lastEventId: null, credential: `reader-${no}`, holders, checked: true, made: 0 };
}

if (process.argv[2] === 'hub') await runHub();
else if (process.argv[2] === 'readers') runReaders();
