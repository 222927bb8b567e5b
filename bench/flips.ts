/**
 * What does an administrator cost who goes through the pages of a site? Each page on the stage is a channel of its own,
 * so every step closes one channel and opens another, in every worker. Measured in the relay of one worker.
 */
import { performance } from 'node:perf_hooks';
import { KIND, SampleBuffer } from '../src/protocol/frame.ts';
import type { Arrival } from '../src/protocol/ipc.ts';
import { Relay } from '../src/relay/relay.ts';
import type { Trace } from '../src/relay/trace.ts';
import type { Length } from './engine.ts';
import { spread, spreadText, type Table } from './figures.ts';

const VISITORS = 5000;
const PAGES = 200;
/** Channels that other streams watch meanwhile. */
const OTHERS = [0, 50, 200];
const SITE = 'shop';

export async function flips({ runs }: Length): Promise<Table> {
  const all: Record<number, number[]> = {};
  // The first run is warm-up.
  for (let run = 0; run <= runs; run++)
    for (const others of OTHERS) {
      const us = await perFlip(others);
      if (run > 0) all[others] = [...(all[others] ?? []), us];
    }
  return {
    title: 'flips: an administrator goes through the pages',
    text:
      `${VISITORS.toLocaleString('en')} visitors on ${PAGES} pages in one worker. A stream shows one page after the other, and every visitor moves once for each. ` +
      'Cost beyond that of the same moves without the stream.',
    head: ['channels of other streams', 'µs per page'],
    rows: OTHERS.map((others) => [String(others), spreadText(spread(all[others] as number[]), 0)]),
    targets: [],
  };
}

/** Additional time of the worker for each page shown, µs. */
async function perFlip(others: number): Promise<number> {
  const relay = new Relay({ send: (_message, taken) => taken(), flushMs: () => 100 });
  try {
    const traces = await visitorsOf(relay);
    for (let no = 1; no <= others; no++) watch(relay, no, `/page-${no % PAGES}`);
    const still = timed(() => moveAll(traces));
    let no = others;
    const flipping = timed((page) => {
      no += 1;
      watch(relay, no, `/page-${page}`);
      if (page > 0) relay.unwatch(no - 1);
      moveAll(traces);
    });
    return (1000 * (flipping - still)) / PAGES;
  } finally {
    await relay.close();
  }
}

function watch(relay: Relay, no: number, page: string): void {
  relay.watch({ no, site: SITE, page, visitor: null, moves: 'full' });
  relay.refresh(no);
}

async function visitorsOf(relay: Relay): Promise<Trace[]> {
  const claims = Array.from({ length: VISITORS }, (_, i) => relay.claim(arrivalOf(i), null));
  for (let i = 1; i <= VISITORS; i++) relay.grant([i, i, 0, 0]);
  return (await Promise.all(claims)) as Trace[];
}

function arrivalOf(i: number): Arrival {
  return {
    id: `visitor-${i}`,
    site: SITE,
    page: `/page-${i % PAGES}`,
    origin: '',
    since: 0,
    device: 'desktop',
    size: [1280, 720, 1280, 5000],
    at: null,
    hidden: false,
    label: '',
    language: '',
    referrer: '',
  };
}

const samples = new SampleBuffer(1);
samples.push(KIND.move, 0, 10, 10);

function moveAll(traces: readonly Trace[]): void {
  const now = Date.now();
  for (const trace of traces) trace.take(samples, now, 0, 1);
}

/** Duration of one call for each page, ms. */
function timed(step: (page: number) => void): number {
  const start = performance.now();
  for (let page = 0; page < PAGES; page++) step(page);
  return performance.now() - start;
}
