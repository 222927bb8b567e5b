/**
 * Gathers what all processes tell. Counters of workers that are no more go on in the sums, which would fall otherwise, and
 * Prometheus takes a fall for a restart from nothing.
 *
 * prom-client adds the workers' figures up; how they come here is ours: its own way gives nobody an answer while one worker
 * does not answer.
 */
import { AggregatorRegistry, type Registry } from 'prom-client';

/** Workers that have not answered by then are told as they were last, milliseconds. */
const LIMIT_MS = 1000;

/** As prom-client's registries give them for others to add up. */
type Metrics = readonly object[];

export class Gathering {
  readonly #own: Registry;
  readonly #ask: (ask: number) => void;
  /** What workers told last. */
  readonly #last = new Map<number, Metrics>();
  /** Counters of workers that are no more. */
  #past: Promise<Metrics> = Promise.resolve([]);
  #asked = 0;
  #awaited = new Set<number>();
  #onAll = () => {};
  #gathering: Promise<string> | undefined;

  /** `ask` has every worker tell, under this number. */
  constructor(own: Registry, ask: (ask: number) => void) {
    this.#own = own;
    this.#ask = ask;
  }

  /** The Prometheus text. Asked again meanwhile, it is the same. */
  text(): Promise<string> {
    this.#gathering ??= this.#gather().finally(() => {
      this.#gathering = undefined;
    });
    return this.#gathering;
  }

  async #gather(): Promise<string> {
    await this.#askWorkers();
    const own = await this.#own.getMetricsAsJSON();
    return AggregatorRegistry.aggregate([own, ...this.#last.values(), await this.#past]).metrics();
  }

  async #askWorkers(): Promise<void> {
    if (this.#last.size === 0) return;
    this.#asked += 1;
    this.#awaited = new Set(this.#last.keys());
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onAll = resolve;
      timer = setTimeout(resolve, LIMIT_MS);
      this.#ask(this.#asked);
    });
    clearTimeout(timer);
  }

  /** There is another worker. */
  add(worker: number): void {
    this.#last.set(worker, []);
  }

  /** A worker has told; `ask` is 0 for its last words. */
  told(worker: number, ask: number, metrics: Metrics): void {
    if (!this.#last.has(worker)) return;
    this.#last.set(worker, metrics);
    if (ask === this.#asked) this.#answered(worker);
  }

  #answered(worker: number): void {
    this.#awaited.delete(worker);
    if (this.#awaited.size === 0) this.#onAll();
  }

  /** A worker is no more. */
  remove(worker: number): void {
    const counters = (this.#last.get(worker) ?? []).filter(isCounter);
    this.#last.delete(worker);
    this.#past = this.#past.then((past) => AggregatorRegistry.aggregate([past, counters]).getMetricsAsJSON());
    this.#answered(worker);
  }
}

/** Types go by their names in what registries give, not by prom-client's enumeration of them. */
function isCounter(metric: { type?: unknown }): boolean {
  return metric.type === 'counter' || metric.type === 'histogram';
}
