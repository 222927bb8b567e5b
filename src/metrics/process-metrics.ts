/** Metrics of every process, and functions that turn figures into metrics. */
import { readdirSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { type Aggregator, Counter, Gauge, Registry } from 'prom-client';
import { LoopDelay } from '../lib/loop-delay.ts';

type Figure = number | ReadonlyMap<string, number>;

/**
 * A registry with a process's memory, CPU, descriptors and event-loop delay. Processes of the same kind are summed up.
 */
export function processMetrics(kind: 'primary' | 'worker'): Registry {
  const registry = new Registry();
  const labels = { process: kind };
  const delay = new LoopDelay();
  const { gauge, count } = metersOf(registry, () => ({ ...memory(), ...cpu() }), labels);
  gauge('memory_bytes', 'Resident memory, including pages of the store that were read', ({ rss }) => rss);
  gauge('heap_bytes', 'Heap in use', ({ heapUsed }) => heapUsed);
  gauge(
    'external_bytes',
    'Memory outside the heap held by heap objects, including buffers',
    ({ external }) => external,
  );
  gauge('buffer_bytes', 'Memory of buffers', ({ arrayBuffers }) => arrayBuffers);
  gauge('descriptors', 'Open file descriptors; 0 where the system does not report them', () => descriptors());
  const helpText = 'Longest delay of the event loop since the last read; the worst of several processes';
  gauge('event_loop_delay_seconds', helpText, () => delay.longestMs() / 1000, 'max');
  count('cpu_seconds_total', 'CPU time', ({ user, system }) => (user + system) / 1e6);
  return registry;
}

/** Both functions read system files: they return zeros if no descriptor is free. */
function memory(): { rss: number; heapUsed: number; external: number; arrayBuffers: number } {
  try {
    return process.memoryUsage();
  } catch {
    const { used_heap_size: heapUsed, external_memory: external } = getHeapStatistics();
    return { rss: 0, heapUsed, external, arrayBuffers: 0 };
  }
}

function cpu(): { user: number; system: number } {
  try {
    return process.cpuUsage();
  } catch {
    return { user: 0, system: 0 };
  }
}

function descriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

type Labels = Readonly<Record<string, string>>;

/**
 * Returns functions that create gauges and counters from the figures of `read`. All values of one response come from
 * the same reading, because a figure may be reset when it is read. Counters by reason have a label for it.
 */
export function metersOf<F>(registry: Registry, read: () => F, labels: Labels = {}) {
  const figures = cachedPerTick(read);
  const named = (name: string, help: string) => ({ name: `fieldmouse_${name}`, help, registers: [registry] });
  return {
    gauge(name: string, help: string, pick: (figures: F) => number, aggregator: Aggregator = 'sum'): void {
      new Gauge({
        ...named(name, help),
        labelNames: Object.keys(labels),
        aggregator,
        collect() {
          this.set(labels, pick(figures()));
        },
      });
    },

    count(name: string, help: string, pick: (figures: F) => Figure): void {
      new Counter({
        ...named(name, help),
        labelNames: [...Object.keys(labels), 'reason'],
        collect() {
          this.reset();
          const figure = pick(figures());
          if (typeof figure === 'number') this.inc(labels, figure);
          else for (const [reason, n] of figure) this.inc({ ...labels, reason }, n);
        },
      });
    },
  };
}

/** A registry collects all its metrics in one turn of the event loop. */
function cachedPerTick<T>(read: () => T): () => T {
  let cached: { value: T } | undefined;
  return () => {
    if (!cached) {
      cached = { value: read() };
      setImmediate(() => {
        cached = undefined;
      });
    }
    return cached.value;
  };
}
