/** Metrics of the store, read by the primary at each request for metrics. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { withTimeout } from '../lib/timeout.ts';

/** If the store does not answer within this time, its metrics are left out, milliseconds. */
const TIMEOUT_MS = 800;

/** As returned by a store. */
interface Usage {
  /** Bytes in use, and bytes of the files. */
  used: number;
  file: number;
  /** Time of the oldest visit, Unix ms, or null. */
  oldest: number | null;
  /** Removed visits, by reason. */
  removed: Readonly<Record<string, number>>;
  /** Number of quarantined batches. */
  damaged: number;
}

/** `cap` is the maximum size of the store, bytes. */
export function storeMetrics(registry: Registry, cap: number, usage: () => Promise<Usage>): void {
  const figures = shared(() => withTimeout(usage(), TIMEOUT_MS).catch(() => undefined));
  const registers = [registry];
  const gauge = (name: string, help: string, pick: (usage: Usage) => number | null) =>
    new Gauge({
      name: `fieldmouse_store_${name}`,
      help,
      registers,
      async collect() {
        const found = await figures();
        const value = found && pick(found);
        if (value == null) this.remove();
        else this.set(value);
      },
    });
  gauge('used_bytes', 'Bytes of the store in use', ({ used }) => used);
  gauge('file_bytes', "Size of the store's file; with Redis, the same as the bytes in use", ({ file }) => file);
  gauge('cap_bytes', 'Cap of the store (--max-store)', () => cap);
  gauge('oldest_visit_timestamp_seconds', 'Start of the oldest visit', ({ oldest }) => oldest && oldest / 1000);
  gauge('damaged_batches', 'Batches of frames that could not be read and were set aside', ({ damaged }) => damaged);
  new Counter({
    name: 'fieldmouse_visits_removed_total',
    help: 'Visits removed since the store was created, by reason',
    labelNames: ['reason'],
    registers,
    async collect() {
      const found = await figures();
      this.reset();
      for (const [reason, visits] of Object.entries(found?.removed ?? {})) this.inc({ reason }, visits);
    },
  });
}

/** Concurrent callers share one call. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let asking: Promise<T> | undefined;
  return () => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };
}
