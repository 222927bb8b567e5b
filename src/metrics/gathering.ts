/**
 * Collects the metrics of all processes. Counters of workers that have exited stay in the sums: otherwise the sums
 * would fall, and Prometheus takes a fall for a restart from zero.
 *
 * prom-client adds up the workers' metrics. The transport is ours: with prom-client's own one, a single worker that
 * does not answer blocks all answers.
 */
import { AggregatorRegistry, type Registry } from 'prom-client';

/** For workers that have not answered after this time the last metrics are used, milliseconds. */
const TIMEOUT_MS = 1000;

/** The JSON form of prom-client's registries, for aggregation. */
type Metrics = readonly object[];

export class Gathering {
  readonly #own: Registry;
  readonly #ask: (ask: number) => void;
  /** The last metrics of each worker. */
  readonly #latest = new Map<number, Metrics>();
  /** Counters of workers that have exited. */
  #exited: Promise<Metrics> = Promise.resolve([]);
  #asked = 0;
  #pendingWorkers = new Set<number>();
  #onComplete = () => {};
  #gathering: Promise<string> | undefined;

  /** `ask` requests metrics from every worker, under this number. */
  constructor(own: Registry, ask: (ask: number) => void) {
    this.#own = own;
    this.#ask = ask;
  }

  /** The Prometheus text. Concurrent calls share one result. */
  text(): Promise<string> {
    this.#gathering ??= this.#gather().finally(() => {
      this.#gathering = undefined;
    });
    return this.#gathering;
  }

  async #gather(): Promise<string> {
    await this.#askWorkers();
    const own = await this.#own.getMetricsAsJSON();
    return AggregatorRegistry.aggregate([own, ...this.#latest.values(), await this.#exited]).metrics();
  }

  async #askWorkers(): Promise<void> {
    if (this.#latest.size === 0) return;
    this.#asked += 1;
    this.#pendingWorkers = new Set(this.#latest.keys());
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onComplete = resolve;
      timer = setTimeout(resolve, TIMEOUT_MS);
      this.#ask(this.#asked);
    });
    clearTimeout(timer);
  }

  /** Adds a new worker. */
  add(worker: number): void {
    this.#latest.set(worker, []);
  }

  /** Handles a worker's metrics; `ask` is 0 for its final ones. */
  told(worker: number, ask: number, metrics: Metrics): void {
    if (!this.#latest.has(worker)) return;
    this.#latest.set(worker, metrics);
    if (ask === this.#asked) this.#answered(worker);
  }

  #answered(worker: number): void {
    this.#pendingWorkers.delete(worker);
    if (this.#pendingWorkers.size === 0) this.#onComplete();
  }

  /** Removes a worker that has exited. */
  remove(worker: number): void {
    const counters = (this.#latest.get(worker) ?? []).filter(isCounter);
    this.#latest.delete(worker);
    this.#exited = this.#exited.then((exited) => AggregatorRegistry.aggregate([exited, counters]).getMetricsAsJSON());
    this.#answered(worker);
  }
}

/** The JSON form has the names of types, not prom-client's enumeration. */
function isCounter(metric: { type?: unknown }): boolean {
  return metric.type === 'counter' || metric.type === 'histogram';
}
