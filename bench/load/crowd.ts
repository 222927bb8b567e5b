/** Visitors, in one load process or in several that share them. */

import type { SentReport, VisitorLoad } from './messages.ts';
import { Loader } from './process.ts';

export class Crowd {
  readonly #loaders: Loader[];

  constructor(processes: number) {
    this.#loaders = Array.from({ length: processes }, () => new Loader('visitors'));
  }

  /** Connects them, in equal parts. */
  async join(load: Omit<VisitorLoad, 'k' | 'first' | 'seed'>): Promise<void> {
    const part = Math.ceil(load.visitors / this.#loaders.length);
    await this.#all((loader, i) => {
      const first = i * part;
      const visitors = Math.min(part, load.visitors - first);
      return loader.ask({ ...load, k: 'visitors', visitors, first, seed: i + 1 }, 'joined');
    });
  }

  /**
   * All visitors send for this many seconds. Counts and CPU are sums over the processes; times are the worst of them.
   */
  async send(seconds: number): Promise<SentReport> {
    const reports = await this.#all((loader) => loader.ask({ k: 'send', seconds }, 'sent'));
    const sum = (of: (one: SentReport) => number) => reports.reduce((total, one) => total + of(one), 0);
    return {
      k: 'sent',
      frames: sum((one) => one.frames),
      samples: sum((one) => one.samples),
      samplesOfFirst: sum((one) => one.samplesOfFirst),
      lateMs: Math.max(...reports.map((one) => one.lateMs)),
      cpuMs: sum((one) => one.cpuMs),
      closed: sum((one) => one.closed),
      slowestMs: Math.max(...reports.map((one) => one.slowestMs)),
      flushMs: Math.max(...reports.map((one) => one.flushMs)),
      sampleMs: Math.max(...reports.map((one) => one.sampleMs)),
    };
  }

  /** Waits for the last acks, within a limit. Tells how many visitors are still owed one. */
  async settle(): Promise<number> {
    const reports = await this.#all((loader) => loader.ask({ k: 'settle' }, 'settled'));
    return reports.reduce((total, { unacked }) => total + unacked, 0);
  }

  /** This share of the visitors leaves. */
  async leave(share: number): Promise<void> {
    await this.#all((loader) => loader.ask({ k: 'leave', share }, 'joined'));
  }

  async end(): Promise<void> {
    await this.#all((loader) => loader.end());
  }

  #all<T>(what: (loader: Loader, i: number) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#loaders.map(what));
  }
}
