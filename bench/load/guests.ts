/**
 * A process of visitors that come one by one, as a tracker does, and are timed: a crowd that says hello and nothing
 * more, or guests that come on a schedule, click once and leave. Open loop: nobody waits for the guest before.
 */
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { build, type Histogram } from 'hdr-histogram-js';
import { WebSocket } from 'ws';
import { byeFrame, helloFrame, samplesFrame } from '../../test/support/visitor.ts';
import { FIRST } from './frames.ts';
import { GUEST_PAGE } from './marks.ts';
import type { Command, Quantiles, Visits, VisitsReport } from './messages.ts';
import { report } from './process.ts';

const JOIN_AT_ONCE = 64;
/** Wait of a guest that is told to try again later, milliseconds; a tracker waits as long or longer. */
const RETRY_MS = 1000;
const MAX_TRIES = 10;
/** In microseconds, because differences of a tenth of a millisecond matter. */
const HISTOGRAM = {
  lowestDiscernibleValue: 1,
  highestTrackableValue: 60_000_000,
  numberOfSignificantValueDigits: 3,
} as const;

class Guest {
  readonly #socket: WebSocket;
  readonly #began = performance.now();
  readonly #page: string;
  readonly #answered: Promise<boolean>;
  /** Milliseconds from connect(). */
  upgradeMs = 0;
  helloMs = 0;

  constructor(port: number, page: string) {
    this.#page = page;
    const url = `ws://127.0.0.1:${port}/v1/visit?site=demo&page=${encodeURIComponent(page)}`;
    this.#socket = new WebSocket(url, 'fieldmouse.v1', { perMessageDeflate: false });
    this.#socket.on('open', () => this.#onOpen());
    this.#socket.on('error', () => {});
    this.#answered = new Promise((resolve) => {
      this.#socket.once('message', () => resolve(true));
      this.#socket.once('close', () => resolve(false));
    });
  }

  #onOpen(): void {
    this.upgradeMs = performance.now() - this.#began;
    this.#socket.send(helloFrame({ page: this.#page }));
  }

  /** True when the server has said hello; false when it closed instead. */
  async arrived(): Promise<boolean> {
    const letIn = await this.#answered;
    this.helloMs = performance.now() - this.#began;
    return letIn;
  }

  click(x: number, y: number): void {
    const place = { button: 0, ex: 0, ey: 0, selector: '' };
    this.#socket.send(
      samplesFrame(FIRST + 1, [{ type: 'click', time: performance.now() - this.#began, x, y, ...place }]),
    );
  }

  /** Says bye. Resolves when the server has closed. */
  async leave(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, 'close');
    this.#socket.send(byeFrame());
    await closed;
  }

  end(): void {
    this.#socket.terminate();
  }
}

/** Connects `count` guests, a few at a time. Resolves when the server has greeted all of them. */
async function crowd(port: number, count: number): Promise<Guest[]> {
  const guests: Guest[] = [];
  while (guests.length < count) {
    const few = Array.from({ length: Math.min(JOIN_AT_ONCE, count - guests.length) }, () => new Guest(port, '/'));
    const greeted = await Promise.all(few.map((guest) => guest.arrived()));
    if (greeted.includes(false)) throw new Error(`refused after ${guests.length} connections`);
    guests.push(...few);
  }
  return guests;
}

/** The guests of one command, and what became of them. */
class Schedule {
  readonly #visits: Visits;
  readonly #upgrade = build(HISTOGRAM);
  readonly #hello = build(HISTOGRAM);
  readonly #letIn: string[] = [];
  readonly #turnedAway: string[] = [];
  readonly #clicks: number[] = [];

  constructor(visits: Visits) {
    this.#visits = visits;
  }

  async run(): Promise<VisitsReport> {
    const { seconds, perSecond } = this.#visits;
    const start = performance.now();
    const visits: Promise<void>[] = [];
    let lateMs = 0;
    for (let i = 0; i < seconds * perSecond; i++) {
      const due = start + (1000 * i) / perSecond;
      if (due > performance.now()) await sleep(due - performance.now());
      lateMs = Math.max(lateMs, performance.now() - due);
      visits.push(this.#visit(i));
    }
    await Promise.all(visits);
    const [letIn, turnedAway, clicks] = [this.#letIn, this.#turnedAway, this.#clicks];
    const times = { upgrade: quantiles(this.#upgrade), hello: quantiles(this.#hello) };
    return { k: 'visited', letIn, turnedAway, clicks, ...times, lateMs };
  }

  async #visit(i: number): Promise<void> {
    for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
      const page = `${GUEST_PAGE}${i}/${attempt}`;
      const guest = new Guest(this.#visits.port, page);
      if (await guest.arrived()) return this.#stay(guest, page, i);
      this.#turnedAway.push(page);
      await sleep(RETRY_MS);
    }
  }

  async #stay(guest: Guest, page: string, i: number): Promise<void> {
    this.#letIn.push(page);
    this.#upgrade.recordValue(1000 * guest.upgradeMs);
    this.#hello.recordValue(1000 * guest.helloMs);
    await sleep(this.#visits.stayMs / 2);
    guest.click(i % 1000, Math.floor(i / 1000));
    this.#clicks.push(i);
    await sleep(this.#visits.stayMs / 2);
    await guest.leave();
  }
}

function quantiles(histogram: Histogram): Quantiles {
  const [p50, p95, p99, max] = [50, 95, 99, 100].map((q) => histogram.getValueAtPercentile(q) / 1000);
  return { p50, p95, p99, max } as Quantiles;
}

if (process.argv[2] === 'guests') {
  let here: Guest[] = [];
  process.on('message', async (command: Command) => {
    if (command.k === 'crowd') {
      here = await crowd(command.port, command.count);
      report({ k: 'joined' });
    } else if (command.k === 'visits') {
      report(await new Schedule(command).run());
    } else if (command.k === 'end') {
      for (const guest of here) guest.end();
      process.disconnect();
    }
  });
}
