/**
 * What does an administrator that reads nothing cost the server and the others? RSS moves by itself, and what is kept
 * for streams that come back grows for a minute and more. So a server with a stalled stream stands beside one without,
 * of the same age and with the same visitors.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Spread, spread, spreadText, type Table, type Target } from './figures.ts';
import type { Report } from './load/messages.ts';
import type { Loader } from './load/process.ts';
import { RATE, Sampling, type Scene, type Setting, sampled, withScene } from './scene.ts';
import { openFiles, rssKb } from './tree.ts';

const VISITORS = 500;
const FULL = 'moves=full';
const STALL_S = 60;
const WARM_UP_S = 5;
/**
 * V8's young generation is kept small in both servers: otherwise it varies by 30 MB or more and hides what is measured.
 */
const ENV = { NODE_OPTIONS: '--max-semi-space-size=2' };
/** How long the last moves may take to arrive, and what one that is back is sent, milliseconds. */
const SETTLE_MS = 700;
const BACK_MS = 5000;
/** Each window gives its own p99, which shows how much p99 varies by itself. Seconds. */
const WINDOW_S = 6;
/** `HARD_LIMIT` of hub/subscriber.ts, MB: the maximum that may wait for one stream. */
const CAP_MB = 1;
const GROWTH_MB = 4;
type Counted = Extract<Report, { k: 'counted' }>;
type Resumed = Extract<Report, { k: 'resumed' }>;

/** One minute: the primary each second, and the healthy stream each window. */
interface Minute {
  /** Resident memory of the primary, before and in that minute. */
  baseMb: number[];
  rssMb: number[];
  files: number[];
  windows: Counted[];
  /** Moves that were sent. */
  sent: number;
}

interface Stalled extends Minute {
  back: Resumed;
  rssBackMb: number[];
  /** Moves that the stalled stream had not shown, and had shown twice, at the end. */
  missing: number;
  doubled: number;
}

export async function stall(): Promise<Table> {
  const setting: Setting = { visitors: VISITORS, streams: [Array(4).fill(FULL), [FULL]], env: ENV };
  process.stderr.write('  a minute without stall\n');
  const control = await withScene(setting, minute);
  process.stderr.write('  a minute with the stall\n');
  return tableOf(control, await withScene(setting, stalledMinute));
}

async function stalledMinute(scene: Scene): Promise<Stalled> {
  const reader = scene.streams[1] as Loader;
  const all = await minute(scene, async () => {
    await reader.ask({ k: 'count' }, 'counted');
    await reader.ask({ k: 'pause' }, 'paused');
  });
  const back = await reader.ask({ k: 'resume' }, 'resumed');
  const rssBackMb = await sampled(BACK_MS, 250, () => primaryMb(scene));
  const { delivered, doubled } = await reader.ask({ k: 'count' }, 'counted');
  return { ...all, back, rssBackMb, missing: all.sent - delivered, doubled };
}

/** Calls `begin` when the server is warm and the minute begins. */
async function minute(scene: Scene, begin = async () => {}): Promise<Minute> {
  const { visitors, streams, system } = scene;
  const healthy = streams[0] as Loader;
  const warming = visitors.send(WARM_UP_S);
  const baseMb = await sampled(1000 * WARM_UP_S, 1000, () => primaryMb(scene));
  await warming;
  await sleep(SETTLE_MS);
  await begin();
  await healthy.ask({ k: 'count' }, 'counted');
  const sending = visitors.send(STALL_S);
  const rssMb = new Sampling(1000, () => primaryMb(scene));
  const files = new Sampling(1000, () => openFiles(system.tree.root));
  const windows: Counted[] = [];
  for (let s = WINDOW_S; s < STALL_S; s += WINDOW_S) {
    await sleep(1000 * WINDOW_S);
    windows.push(await healthy.ask({ k: 'count' }, 'counted'));
  }
  const { frames: sent } = await sending;
  await sleep(SETTLE_MS);
  windows.push(await healthy.ask({ k: 'count' }, 'counted'));
  return { baseMb, rssMb: rssMb.stop(), files: files.stop(), windows, sent };
}

function primaryMb({ system }: Scene): number {
  return rssKb(system.tree.root) / 1024;
}

/** The second in which the primary's open sockets decreased by one, if they did. */
function cutAfter({ files }: Minute): number | undefined {
  const at = files.findIndex((count) => count < (files[0] as number));
  return at < 0 ? undefined : at;
}

/** What RSS was above the warm server's, while the stalled stream was there. */
function grown({ baseMb, rssMb }: Minute, cut = STALL_S): Spread {
  const base = spread(baseMb).median;
  return spread(rssMb.slice(0, cut).map((mb) => mb - base));
}

function tableOf(control: Minute, stall: Stalled): Table {
  const { back, missing, doubled, rssBackMb } = stall;
  const cut = cutAfter(stall);
  const bytesPerS = stall.windows.reduce((sum, { bytes }) => sum + bytes, 0) / 4 / STALL_S;
  const rows = {
    'primary, resident, MB': [control, stall].map(({ rssMb }) => spreadText(spread(rssMb))),
    'growth over the warm server until the cut, MB': [control, stall].map((one) => spreadText(grown(one, cut))),
    'healthy stream: p99 per 6 s, ms': [control, stall].map((one) => spreadText(spread(p99s(one)), 0)),
    'healthy stream: moves delivered of sent': [control, stall].map(deliveredText),
    'stalled stream: cut after, s': ['–', cut === undefined ? 'not' : String(cut)],
    'stalled stream: buffered in the kernel': [
      '–',
      `${(back.bytes / 2 ** 20).toFixed(1)} MB = ${(back.bytes / bytesPerS).toFixed(0)} s of it`,
    ],
    'stalled stream: after its return': ['–', back.how.join(' + ') || 'resumed'],
    'stalled stream: missing, duplicated at the end': ['–', `${missing}, ${doubled}`],
    'primary, resident, after its return, MB': ['–', spreadText(spread(rssBackMb))],
  };
  return {
    title: 'A stalled administrator',
    text:
      `${VISITORS} \`json\` visitors at ${RATE} moves a second, 5 administrators at \`moves=full\`; ` +
      `one of them reads nothing for ${STALL_S} s. One run, two servers measured at the same age, ` +
      `with \`${ENV.NODE_OPTIONS}\`; figures per second.`,
    head: ['', 'a minute without stall', 'a minute with the stall'],
    rows: Object.entries(rows).map(([name, cells]) => [name, ...cells]),
    targets: [growth(grown(control, cut), grown(stall, cut)), unchanged(control, stall), begunAnew(cut, back)],
  };
}

function p99s({ windows }: Minute): number[] {
  return windows.map(({ p99 }) => p99);
}

function deliveredText({ windows, sent }: Minute): string {
  const delivered = windows.reduce((sum, one) => sum + one.delivered, 0);
  return `${delivered} of ${sent}`;
}

function growth(without: Spread, stalled: Spread): Target {
  const [median, max] = [stalled.median - without.median, stalled.max - without.max];
  return {
    what: "growth of the primary's RSS during the stall: median, maximum",
    wanted: `≤ ${GROWTH_MB} MB beyond the stream's ${CAP_MB} MB`,
    got: `${median.toFixed(1)}, ${max.toFixed(1)} MB`,
    met: Math.max(median, max) <= GROWTH_MB + CAP_MB,
  };
}

/** The windows of the control show how much p99 varies by itself. */
function unchanged(control: Minute, stall: Minute): Target {
  const [before, during] = [spread(p99s(control)), spread(p99s(stall))];
  return {
    what: "the other administrators' p99",
    wanted: `unchanged: median within ${before.min} – ${before.max} ms`,
    got: `${during.median} ms`,
    met: during.median <= before.max,
  };
}

function begunAnew(cut: number | undefined, { how }: Resumed): Target {
  return {
    what: 'the stalled stream',
    wanted: '`reset` + `snapshot`, or cut',
    got: cut === undefined ? how.join(' + ') || 'nothing' : `cut after ${cut} s`,
    met: cut !== undefined || how.join() === 'reset,snapshot',
  };
}
