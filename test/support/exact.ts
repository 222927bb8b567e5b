/** Visitors that send constantly, and a comparison of the record with their acks, sample by sample. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../src/store/contract.ts';
import { openLmdbStore } from '../../src/store/lmdb/lmdb-store.ts';
import { LIMIT_MS } from './limit.ts';
import { FAR, SteadyVisitor } from './steady-visitor.ts';
import { all, samplesIn } from './visits.ts';

/** Polls a condition for which no event exists. */
export async function until(holds: () => boolean | Promise<boolean>, what: string, limitMs = LIMIT_MS): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `no ${what} in ${limitMs} ms`);
    await sleep(50);
  }
}

/** Makes visitors send a frame every `everyMs` until stopped. */
export class Traffic {
  readonly #timer: NodeJS.Timeout;

  constructor(visitors: readonly SteadyVisitor[], everyMs: number, samples: number, far = false) {
    this.#timer = setInterval(() => {
      for (const visitor of visitors) visitor.move(samples, far);
    }, everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

export function crowd(t: TestContext, count: number, address: () => string): SteadyVisitor[] {
  return Array.from({ length: count }, (_, no) => new SteadyVisitor(t, address, no));
}

export async function settle(visitors: readonly SteadyVisitor[]): Promise<void> {
  const acked = Promise.all(visitors.map((visitor) => visitor.settled())).then(() => true);
  const limit = sleep(LIMIT_MS, false, { ref: false });
  const owed = () => visitors.reduce((sum, visitor) => sum + visitor.unacked, 0);
  assert.ok(await Promise.race([acked, limit]), `${owed()} samples are not acked`);
}

export interface Figures {
  made: number;
  acked: number;
  stored: number;
  lost: number;
  duplicated: number;
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

/** Returns how many times the record has each sample of a visitor, by its serial. */
export async function storedOf({ archive }: Store, visitor: SteadyVisitor): Promise<Map<number, number>> {
  const serials = new Map<number, number>();
  for (const id of [...visitor.former, visitor.id])
    for (const { payload, t } of await all((after) => archive.runs(id, after)))
      for (const sample of samplesIn(payload, t)) {
        assert.ok(sample.type === 'move' && sample.x % FAR === visitor.no, 'a sample of this visitor');
        serials.set(sample.y, (serials.get(sample.y) ?? 0) + 1);
      }
  return serials;
}

/** Compares the record with the visitors' acks, sample by sample, and verifies the record itself. */
export async function compare(
  t: TestContext,
  store: Store,
  visitors: readonly SteadyVisitor[],
  renewed = false,
): Promise<Figures> {
  assert.deepEqual(await store.archive.verify(), []);
  const figures: Figures = { made: 0, acked: 0, stored: 0, lost: 0, duplicated: 0 };
  for (const visitor of visitors) {
    const stored = await storedOf(store, visitor);
    assert.ok([...stored.keys()].every((serial) => serial < visitor.made));
    figures.made += visitor.made;
    figures.acked += visitor.acked;
    figures.stored += stored.size;
    for (let serial = 0; serial < visitor.acked; serial++) if (!stored.has(serial)) figures.lost += 1;
    for (const times of stored.values()) figures.duplicated += times - 1;
    assert.equal(visitor.former.length > 0, renewed, 'visitors keep their ids');
  }
  t.diagnostic(
    Object.entries(figures)
      .map(([what, n]) => `${what} ${n}`)
      .join(', '),
  );
  return figures;
}

/**
 * Runs `compare` on a stopped server and asserts that nothing is lost or stored twice. `at` is its data folder, or
 * opens its store.
 */
export async function assertExact(
  t: TestContext,
  at: string | (() => Promise<Store>),
  visitors: readonly SteadyVisitor[],
  renewed = false,
): Promise<void> {
  const store = await (typeof at === 'string' ? openLmdbStore(at) : at());
  try {
    const { acked, lost, duplicated } = await compare(t, store, visitors, renewed);
    assert.ok(acked > 0);
    assert.deepEqual({ lost, duplicated }, { lost: 0, duplicated: 0 });
  } finally {
    await store.close();
  }
}
