/** A server with visitors and administrators, for benches that do something else at the same time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Crowd } from './load/crowd.ts';
import { Loader } from './load/process.ts';
import { type System, start, TOKEN } from './systems.ts';

export interface Setting {
  /** `json` visitors, 60 moves a second each. */
  visitors: number;
  /** Queries of the streams of one process each; the first of each process is checked sample by sample. */
  streams: string[][];
  env?: NodeJS.ProcessEnv;
}

export interface Scene {
  system: System;
  visitors: Crowd;
  streams: Loader[];
  guests: Loader;
}

/** Moves a second of each visitor. */
export const RATE = 60;

/** Starts the scene, runs `play`, and stops everything. */
export async function withScene<T>(
  { visitors: count, streams: queries, env }: Setting,
  play: (scene: Scene) => Promise<T>,
): Promise<T> {
  const system = await start('fieldmouse', [], env);
  const { port } = system;
  const visitors = new Crowd(1);
  const guests = new Loader('guests');
  const streams = queries.map(() => new Loader('streams'));
  try {
    await visitors.join({ port, speak: 'json', visitors: count, rate: RATE, samples: 1, pages: 1, obedient: false });
    for (const [i, loader] of streams.entries())
      await loader.ask(
        { k: 'streams', port, speak: 'fieldmouse', token: TOKEN, queries: queries[i] as string[], samples: 1 },
        'joined',
      );
    return await play({ system, visitors, streams, guests });
  } finally {
    await Promise.all([visitors, guests, ...streams].map((loader) => loader.end()));
    await system.stop();
  }
}

/** Reads a value at regular intervals until stopped. */
export class Sampling<T> {
  readonly #values: T[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(everyMs: number, read: () => T) {
    this.#values.push(read());
    this.#timer = setInterval(() => this.#values.push(read()), everyMs);
  }

  /** Stops, and returns the values. */
  stop(): T[] {
    clearInterval(this.#timer);
    return this.#values;
  }
}

/** Reads a value at regular intervals for a given time. */
export async function sampled<T>(forMs: number, everyMs: number, read: () => T): Promise<T[]> {
  const sampling = new Sampling(everyMs, read);
  await sleep(forMs);
  return sampling.stop();
}
