/**
 * How long do visitors wait for an ack while a very large visit is erased? The baseline is the same server while it
 * erases nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sample } from '../src/protocol/encode.ts';
import { KIND, SampleBuffer } from '../src/protocol/frame.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { BatchWriter, PlaceMark } from '../src/store/record/batch.ts';
import type { Owner } from '../test/support/owner.ts';
import { BinaryVisitor } from '../test/support/visitor.ts';
import type { Length } from './engine.ts';
import type { Table } from './figures.ts';
import { start, TOKEN } from './systems.ts';

/** Bytes of runs. FIELDMOUSE_ERASE_MB sets another size. */
const SIZES = (process.env.FIELDMOUSE_ERASE_MB ?? '55,500').split(',').map((mb) => Number(mb) * 1_000_000);
const MAX_GAP_MS = 250;
const SAMPLES = 1000;
/** Time between samples, short enough for the visit to last less than a day, milliseconds. */
const STEP_MS = 0.5;
const FRAMES_TOGETHER = 40;
/** Each visitor sends a frame in this interval, milliseconds. */
const FRAME_MS = 100;
/** Each visitor gets one ack per second: this many visitors reveal a pause of a few tens of milliseconds. */
export const VISITORS = 100;
/** By then all visitors get acks. */
const FIRST_ACKS_MS = 2000;
/** Duration of the baseline, in which nothing is erased, milliseconds. */
const BASE_MS = 10_000;
const ID = 'a-very-large-visit';

export async function erase(_: Length): Promise<Table> {
  const rows: string[][] = [];
  const targets: Table['targets'][number][] = [];
  for (const bytes of SIZES) {
    const { before, gap, seconds, megabytes } = await eraseOf(bytes);
    const name = `${megabytes.toFixed(0)} MB`;
    rows.push([`${name}: longest time without an ack before, ms`, before.toFixed(0)]);
    rows.push(
      [`${name}: longest time without an ack during the erase, ms`, gap.toFixed(0)],
      [`${name}: duration of the erase, s`, seconds.toFixed(1)],
    );
    targets.push({
      what: `longest time without an ack, ${name}`,
      wanted: `≤ ${MAX_GAP_MS} ms`,
      got: `${gap.toFixed(0)} ms`,
      met: gap <= MAX_GAP_MS,
    });
  }
  const text = `One visit is erased over HTTP while ${VISITORS} visitors send a frame every ${FRAME_MS} ms, with 2 workers.`;
  return { title: 'erase: acks while a large visit is erased', text, head: ['', 'figure'], rows, targets };
}

async function eraseOf(bytes: number) {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const megabytes = (await fill(folder, bytes)) / 1_000_000;
    const server = await start('fieldmouse', [
      '--data',
      folder,
      '--workers',
      '2',
      '--max-store',
      '10GB',
      '--retain',
      '3650d',
    ]);
    ends.push(() => server.stop());
    const owner: Owner = { after: (end: unknown) => void ends.push(end as () => void) };
    const watch = new Watch(owner, `ws://127.0.0.1:${server.port}`);
    await watch.ready;
    await sleep(BASE_MS);
    const before = watch.longest();
    const begin = performance.now();
    const answer = await fetch(`http://127.0.0.1:${server.port}/v1/visits/${ID}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    if (!answer.ok) throw new Error(`erasing was answered with ${answer.status}: ${await answer.text()}`);
    return { before, gap: watch.longest(), seconds: (performance.now() - begin) / 1000, megabytes };
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** Creates a visit with about `bytes` of runs. Returns the bytes in use. */
async function fill(folder: string, bytes: number): Promise<number> {
  const store = await openLmdbStore(folder, { durability: 'system' });
  const samples = new SampleBuffer(SAMPLES);
  for (let i = 0; i < SAMPLES; i++) samples.push(KIND.move, Math.floor(i * STEP_MS), (37 * i) % 1280, (91 * i) % 5000);
  const mark = new PlaceMark({ id: ID, site: 'demo', page: '/', size: [1280, 720, 1280, 5000] });
  const since = Date.now() - 20 * 3_600_000;
  const told = { language: 'en', referrer: '', origin: '', country: '', label: '' };
  let used = 0;
  for (let n = 1; used < bytes; ) {
    const writer = new BatchWriter();
    writer.about(mark, { since, device: 'desktop', ...told });
    for (let i = 0; i < FRAMES_TOGETHER; i++, n++) {
      const t = since + n * SAMPLES * STEP_MS;
      writer.frame(mark, n, n === 1, samples, t, t);
    }
    await store.archive.append([writer.take()]);
    await store.archive.compactAll();
    used = (await store.archive.usage()).used;
  }
  await store.close();
  return used;
}

/** Visitors that send continuously. Records how long none of their frames was acked. */
export class Watch {
  readonly ready: Promise<unknown>;
  #last = performance.now();
  #longest = 0;

  /** `samples`: number of samples in each frame of a visitor. */
  constructor(owner: Owner, url: string, samples = 1) {
    const visitors = Array.from(
      { length: VISITORS },
      () => new BinaryVisitor(owner, url, { clock: Math.round(performance.now()) }),
    );
    this.ready = Promise.all(visitors.map(({ hello }) => hello)).then(async () => {
      const timer = setInterval(() => {
        const time = Math.round(performance.now());
        const moves = Array.from({ length: samples }, (_, i) => moveOf(time + i - samples, samples));
        for (const visitor of visitors) visitor.frame(...moves);
      }, FRAME_MS);
      owner.after(() => clearInterval(timer));
      for (const { socket } of visitors) socket.on('message', () => this.#acked());
      await sleep(FIRST_ACKS_MS);
      this.longest();
    });
  }

  #acked(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
  }

  /** Since it was asked last, milliseconds. */
  longest(): number {
    this.#acked();
    const longest = this.#longest;
    this.#longest = 0;
    return longest;
  }
}

/** At the same place where a frame has but one sample. */
function moveOf(time: number, samples: number): Sample {
  return samples === 1
    ? { type: 'move', time, x: 1, y: 1 }
    : {
        type: 'move',
        time,
        x: Math.round(640 + 600 * Math.sin(time / 900)),
        y: Math.round(900 + 800 * Math.sin(time / 1700)),
      };
}
