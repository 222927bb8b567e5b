/**
 * `npm run attack [-- NAME …]`: starts a server for each attack and attacks it for a long time, while 50 visitors
 * continue as usual and an administrator watches them. test/attack-*.test.ts are the short versions. Attackers run with
 * a lower priority than the server, because on the Internet they do not share its CPUs.
 */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { churn, FLOOD, flood, hoard, SLOW, slowly, type Tally } from '../test/support/attack.ts';
import { openRaw } from '../test/support/raw.ts';
import { Crowd } from './load/crowd.ts';
import type { Report } from './load/messages.ts';
import { Loader } from './load/process.ts';
import { Sampling } from './scene.ts';
import { type System, start, TOKEN } from './systems.ts';
import { memoryKb, openFiles } from './tree.ts';
import { callOf } from './usage.ts';

type Counted = Extract<Report, { k: 'counted' }>;

/** An attack. Resolves with a summary for the table. */
type Attack = (url: string) => Promise<string>;

const SECONDS = 20;
const PER_SECOND = 5000;
const SOCKETS = 10_000;
/** A hundred times `--max-frame-rate`. */
const FRAMES = 12_000;
const ATTACKER = '127.0.8.1';
const LIMITS = ['--workers', '2', '--max-per-address', '1000', '--max-connections', '20000'];
/** Without a limit, V8 leaves garbage uncollected, which would hide a leak. */
const ENV = { NODE_OPTIONS: '--max-semi-space-size=2 --max-old-space-size=128' };

const ATTACKS: Record<string, Attack> = {
  churn: async (url) => {
    const { outcomes, seconds } = await churn(url, SECONDS * PER_SECOND, 400, PER_SECOND);
    return `${SECONDS * PER_SECOND} connections, ${((SECONDS * PER_SECOND) / seconds).toFixed(0)}/s: ${text(outcomes)}`;
  },
  address: async (url) => {
    const { outcomes, held, end } = await hoard(url, SOCKETS, ATTACKER);
    await sleep(5000);
    end();
    return `${SOCKETS} connections of one address: ${text(outcomes)}; ${held.length} held for 5 s`;
  },
  ...Object.fromEntries(
    (Object.keys(FLOOD) as (keyof typeof FLOOD)[]).map((kind): [string, Attack] => [
      kind,
      async (url) => {
        const { sent, outcomes } = await flood(url, kind, FRAMES, SECONDS);
        return `${sent} ${kind} at ${FRAMES}/s; connections: ${text(outcomes)}`;
      },
    ]),
  ),
  slow: async (url) => {
    const kinds = Object.entries(SLOW);
    const attacks = await Promise.all(kinds.map(async ([, text]) => (await slowly(url, 400, text)).cut));
    const cuts = kinds.map(([kind], i) => `${kind} after ${((attacks[i] as number) / 1000).toFixed(1)} s`);
    return `400 connections each; the last was closed: ${cuts.join(', ')}`;
  },
  unread: async (url) => {
    const sockets = await Promise.all(Array.from({ length: 100 }, () => openRaw(undefined, url)));
    const began = performance.now();
    for (const socket of sockets) {
      socket.pause();
      socket.write('GET /admin/app.js HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000));
    }
    // A paused socket does not report that it was closed. The descriptors of the server show it.
    await sleep(20_000);
    for (const socket of sockets) socket.destroy();
    return `100 connections with 1,000 requests each, never read; ${((performance.now() - began) / 1000).toFixed(0)} s`;
  },
};

if (process.argv[2] === 'attacker') await attacker();
else
  await all(
    callOf({
      name: 'attack',
      does:
        'Attacks its own servers, long and hard, while 50 visitors are active and an administrator watches them. Prints a row per attack: its result, ' +
        'and its effect on the others. test/attack-*.test.ts are the short forms.',
      takes: 'All attacks take about 9 minutes, one about a minute.',
      words: { called: 'attack', known: Object.keys(ATTACKS) },
      options: {},
    }).words,
  );

/** The attacking process: `attacker NAME URL`. */
async function attacker(): Promise<void> {
  setPriority(constants.priority.PRIORITY_LOW);
  const [name, url] = process.argv.slice(3) as [string, string];
  process.send?.(await (ATTACKS[name] as Attack)(url));
  process.disconnect?.();
}

function text(outcomes: Tally): string {
  return [...outcomes].map(([what, count]) => `${what}: ${count}`).join(', ') || 'none';
}

async function all(names: string[]): Promise<void> {
  execFileSync(process.execPath, ['build.mjs'], { stdio: 'inherit' });
  console.log(`Node ${process.version}, ${availableParallelism()} CPUs, shared with attackers and visitors\n`);
  console.log(
    '| attack | result | p99 before, during, ms | descriptors before, peak, after | MB before, peak, after |',
  );
  console.log('|---|---|---|---|---|');
  for (const name of names.length > 0 ? names : Object.keys(ATTACKS)) console.log(await one(name));
}

/** Runs one attack on a new server. Returns a row of the table. */
async function one(name: string): Promise<string> {
  const system = await start('fieldmouse', LIMITS, ENV);
  const visitors = new Crowd(1);
  const streams = new Loader('streams');
  try {
    const { port } = system;
    await visitors.join({ port, speak: 'v1', visitors: 50, rate: 10, samples: 6, pages: 1, obedient: false });
    await streams.ask(
      { k: 'streams', port, speak: 'fieldmouse', token: TOKEN, queries: ['moves=full'], samples: 6 },
      'joined',
    );
    const pids = system.tree.pids().join();
    await watched(visitors, streams, () => sleep(5000));
    const before = { ...usage(system), ...(await watched(visitors, streams, () => sleep(1000 * SECONDS))).counted };
    const files = new Sampling(250, () => usage(system));
    const during = await watched(visitors, streams, () => attack(name, port));
    const most = files.stop();
    await sleep(10_000);
    const after = usage(system);
    const isSame = system.tree.pids().join() === pids ? '' : '; PROCESSES WERE REPLACED';
    const { delivered, p99 } = during.counted;
    const acked = `${delivered} of ${during.sent} samples of others shown, ${during.unacked} not acked`;
    const row = [
      name,
      `${during.result}; ${acked}${isSame}`,
      `${before.p99}, ${p99}`,
      `${before.files}, ${Math.max(...most.map((one) => one.files))}, ${after.files}`,
      `${before.mb}, ${Math.max(...most.map((one) => one.mb))}, ${after.mb}`,
    ];
    return `| ${row.join(' | ')} |`;
  } finally {
    await Promise.all([visitors.end(), streams.end()]);
    await system.stop();
  }
}

/** Lets the visitors send until `what` is done. */
async function watched<T>(
  visitors: Crowd,
  streams: Loader,
  what: () => Promise<T>,
): Promise<{ result: T; counted: Counted; sent: number; unacked: number }> {
  await streams.ask({ k: 'count' }, 'counted');
  let isOver = false;
  const doing = what().finally(() => {
    isOver = true;
  });
  let sent = 0;
  while (!isOver) sent += (await visitors.send(5)).samples;
  const unacked = await visitors.settle();
  return { result: await doing, counted: await streams.ask({ k: 'count' }, 'counted'), sent, unacked };
}

async function attack(name: string, port: number): Promise<string> {
  const child = fork(fileURLToPath(import.meta.url), ['attacker', name, `http://127.0.0.1:${port}`]);
  const [result] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the attacker ended with ${code}`))),
  ]);
  return result as string;
}

/** Returns the usage of all processes together. Memory excludes mapped files, such as the record. */
function usage({ tree }: System): { files: number; mb: number } {
  const pids = tree.pids();
  const sum = (of: (pid: number) => number) => pids.reduce((total, pid) => total + of(pid), 0);
  return { files: sum(openFiles), mb: Math.round(sum((pid) => memoryKb(pid, 'RssAnon')) / 1024) };
}
