/**
 * The processes: forks the workers, restarts a dead worker, and drains all workers at the end. Reports events through
 * callbacks; knows nothing of what the workers do.
 */
import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import { countUp } from '../lib/count.ts';
import type { Logger } from '../log/logger.ts';
import { isToPrimary, TAG, type ToPrimary, type ToWorker, type TroubleName } from '../protocol/ipc.ts';
import { Backoff } from './backoff.ts';
import { type LoadReport, LoadReporter } from './load-report.ts';
import { HEARTBEAT_MS, Watchdog } from './watchdog.ts';

/** A worker that has not drained after this time is killed, milliseconds. A whole stop may take 5 s. */
const DRAIN_LIMIT_MS = 3000;
/** A worker that replaces another has to listen within this time, milliseconds. */
const START_LIMIT_MS = 20_000;
/** Minimum time between replacements of workers that have grown too large, milliseconds: the cause may persist. */
const MIN_RENEW_INTERVAL_MS = 60_000;

/** Why a worker was replaced. */
type RestartReason = 'died' | 'hung' | 'memory' | 'reload';

export interface SupervisorOptions {
  workers: number;
  /** The file that workers run, and its arguments. */
  exec: string;
  args: readonly string[];
  /** Environment variables of workers in addition to ours. */
  env?: Readonly<Record<string, string>>;
  /** A worker with more private memory is replaced, bytes. */
  maxMemory: number;
  log: Logger;
}

export interface SupervisorEvents {
  onFork(worker: number): void;
  /** The worker receives messages from now on; Node drops earlier ones. */
  onListening(worker: number): void;
  onMessage(worker: number, message: ToPrimary, socket: Socket | undefined): void;
  onExit(worker: number): void;
  /** Workers die repeatedly, or one died in the way that broken memory or a broken mapped file causes. */
  onCrash(): void;
}

/** Before `start` there are no events. */
const NO_EVENTS: SupervisorEvents = {
  onFork() {},
  onListening() {},
  onMessage() {},
  onExit() {},
  onCrash() {},
};

/** A worker reported that it cannot start, e.g. because the port is in use. */
export class StartError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'StartError';
    this.code = code;
  }
}

/**
 * V8 lets the space for new objects grow to three times 16 MB, and is slow to free it. Half of that makes 15,000 idle
 * visitors 70 MB smaller (npm run bench -- idle). With a quarter, HTTP becomes slower (npm run bench -- http).
 */
const YOUNG_GENERATION_FLAG = '--max-semi-space-size=8';

/** Environment variable that tells a worker which process forked it. */
const SUPERVISOR_MARK = 'FIELDMOUSE_SUPERVISOR';

/**
 * True in a worker that a Supervisor forked. False in a process that another program forked, such as PM2 in its cluster
 * mode.
 */
export function isOwnWorker(): boolean {
  return process.env[SUPERVISOR_MARK] === String(process.ppid);
}

/** Signals that end a process when it reads a broken page of the store. */
const CRASHES: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGBUS', 'SIGABRT']);

export class Supervisor {
  readonly #options: SupervisorOptions;
  #events = NO_EVENTS;
  readonly #backoff = new Backoff();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #listening = new Set<number>();
  /** The URLs at which the workers listen; empty until all workers listened for the first time. */
  #addresses: string[] = [];
  #closing: Promise<void> | undefined;
  #started: { resolve(addresses: string[]): void; reject(error: Error): void } | undefined;
  /** New workers that replace others and are not listening yet. */
  readonly #starting = new Map<number, { resolve(): void; reject(error: Error): void }>();
  /** Workers that are being replaced: no worker is started when they exit. */
  readonly #retiring = new Set<number>();
  #reloading: Promise<number> | undefined;
  readonly #watchdog = new Watchdog();
  readonly #loadReporter = new LoadReporter();
  /** The event loop delay of each worker in its last second, milliseconds. */
  readonly #delays = new Map<number, number>();
  /** The troubles that each worker reported in its last second. */
  readonly #troubles = new Map<number, readonly TroubleName[]>();
  /** Workers that were killed because they did not answer, until they exit. */
  readonly #hung = new Set<number>();
  readonly #restarts = new Map<RestartReason, number>();
  #watchdogTimer: NodeJS.Timeout | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #renewing: Promise<void> | undefined;
  /** Callbacks for the progress of the reload. */
  readonly #reloadListeners = new Set<(done: number, total: number) => void>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Forks the workers. Resolves with the addresses when all workers listen; rejects with StartError. */
  start(events: SupervisorEvents): Promise<string[]> {
    this.#events = events;
    const { exec, args, workers } = this.#options;
    // Workers accept connections themselves. If the primary distributed them, a connection on its way to a dying worker
    // would never be answered nor closed, and a busy primary would delay every accept (npm run bench -- upgrade).
    if (!process.env.NODE_CLUSTER_SCHED_POLICY) cluster.schedulingPolicy = cluster.SCHED_NONE;
    const execArgv = [...process.execArgv, YOUNG_GENERATION_FLAG];
    cluster.setupPrimary({ exec, args: [...args], execArgv, silent: false });
    cluster.on('message', this.#onMessage);
    cluster.on('exit', this.#onExit);
    this.#watchdogTimer = setInterval(() => this.#killHung(), HEARTBEAT_MS);
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      for (let i = 0; i < workers; i++) this.#fork();
    });
  }

  #fork(): Worker {
    const worker = cluster.fork({ ...this.#options.env, [SUPERVISOR_MARK]: String(process.pid) });
    // Sending fails if the worker dies meanwhile. The exit is handled elsewhere.
    worker.on('error', (error) =>
      this.#options.log.debug({ worker: worker.id, code: error.message }, 'worker channel'),
    );
    this.#events.onFork(worker.id);
    return worker;
  }

  readonly #onMessage = (worker: Worker, message: unknown, handle: unknown): void => {
    if (!isToPrimary(message)) return;
    if (message.k === 'listening') this.#onListening(worker.id, message.addresses);
    else if (message.k === 'failed') this.#onFailed(worker.id, message);
    else if (message.k === 'beat') this.#onLoadReport(worker, message);
    this.#events.onMessage(worker.id, message, handle as Socket | undefined);
  };

  #onFailed(worker: number, { code, message }: { code: string; message: string }): void {
    if (this.#addresses.length === 0) this.#started?.reject(new StartError(code, message));
    else this.#options.log.error({ worker, code }, message);
    this.#starting.get(worker)?.reject(new StartError(code, message));
  }

  #onListening(worker: number, addresses: string[]): void {
    this.#listening.add(worker);
    this.#events.onListening(worker);
    this.#starting.get(worker)?.resolve();
    if (this.#listening.size < this.#options.workers) return;
    this.#addresses = addresses;
    this.#started?.resolve(addresses);
  }

  #onLoadReport(
    worker: Worker,
    { memory, delayMs, troubles }: LoadReport & { troubles: readonly TroubleName[] },
  ): void {
    this.#watchdog.heard(worker.id);
    this.#troubles.set(worker.id, troubles);
    this.#delays.set(worker.id, delayMs);
    if (memory > this.#options.maxMemory) this.#replaceLargeWorker(worker, memory);
  }

  /** Replaces a worker that has grown too large: a new one listens before the old one drains. */
  #replaceLargeWorker(worker: Worker, memory: number): void {
    const now = performance.now();
    if (this.#closing || this.#reloading || now - this.#renewedAt < MIN_RENEW_INTERVAL_MS) return;
    this.#renewedAt = now;
    const { log, maxMemory } = this.#options;
    log.warn({ worker: worker.id, memory, maxMemory }, 'worker uses more memory than --max-memory; it is replaced');
    this.#renewing = this.#replace(worker, 'memory').catch((error: unknown) =>
      log.error({ err: error }, 'worker could not be replaced; it keeps running'),
    );
  }

  /** Their exit is handled like any other. */
  #killHung(): void {
    for (const id of this.#watchdog.tick()) {
      const worker = cluster.workers?.[id];
      this.#options.log.error({ worker: id, pid: worker?.process.pid }, 'worker does not answer; it is killed');
      this.#hung.add(id);
      worker?.process.kill('SIGKILL');
    }
  }

  /**
   * The longest delay of any event loop, milliseconds: of the workers in the last second, and of this process since the
   * last call.
   */
  delayMs(): number {
    return Math.max(this.#loadReporter.report().delayMs, ...this.#delays.values());
  }

  /** The troubles that workers report now. */
  troubles(): TroubleName[] {
    return [...this.#troubles.values()].flat();
  }

  /** The number of workers now, and the number of replaced workers so far by reason. */
  figures(): { workers: number; restarts: ReadonlyMap<string, number> } {
    return { workers: Object.keys(cluster.workers ?? {}).length, restarts: this.#restarts };
  }

  readonly #onExit = (worker: Worker, code: number | null, signal: string | null): void => {
    this.#listening.delete(worker.id);
    this.#watchdog.forget(worker.id);
    this.#delays.delete(worker.id);
    this.#troubles.delete(worker.id);
    this.#events.onExit(worker.id);
    const starting = this.#starting.get(worker.id);
    starting?.reject(new StartError('worker-died', `the new worker exited during startup (${signal ?? code})`));
    if (this.#closing || starting || this.#retiring.has(worker.id)) return;
    if (this.#addresses.length === 0)
      this.#started?.reject(new StartError('worker-died', `a worker exited during startup (${signal ?? code})`));
    countUp(this.#restarts, this.#hung.delete(worker.id) ? 'hung' : 'died');
    const { delayMs, looping, deaths } = this.#backoff.death(performance.now());
    const fields = { worker: worker.id, pid: worker.process.pid, code, signal, delayMs };
    if (looping) this.#options.log.error({ ...fields, deaths }, 'workers keep dying; slowing down');
    else this.#options.log.warn(fields, 'worker died; starting another');
    if (looping || CRASHES.has(signal ?? '')) this.#events.onCrash();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#fork();
    }, delayMs);
    this.#timers.add(timer);
  };

  /**
   * Replaces all workers, one after the other: a new one listens before the old one drains. `onProgress` is called
   * after each. Resolves with the number of replaced workers. Throws StartError if a new worker does not start; the
   * other workers stay. A call during a reload joins it.
   */
  reload(onProgress: (done: number, total: number) => void): Promise<number> {
    this.#reloadListeners.add(onProgress);
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
      this.#reloadListeners.clear();
    });
    return this.#reloading;
  }

  async #reload(): Promise<number> {
    await this.#renewing;
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    let done = 0;
    for (const worker of workers) {
      if (this.#closing) throw new StartError('closing', 'the server is being stopped');
      // A dead worker has been replaced already.
      if (!worker.isDead()) await this.#replace(worker, 'reload');
      done += 1;
      for (const onProgress of this.#reloadListeners) onProgress(done, workers.length);
    }
    return done;
  }

  async #replace(worker: Worker, reason: RestartReason): Promise<void> {
    this.#retiring.add(worker.id);
    try {
      await this.#startAnother();
    } catch (error) {
      this.#retiring.delete(worker.id);
      if (worker.isDead() && !this.#closing) this.#fork();
      throw error;
    }
    countUp(this.#restarts, reason);
    await this.#retire(worker);
    this.#retiring.delete(worker.id);
  }

  /** Resolves when a new worker listens. Kills a new worker that does not listen in time. */
  async #startAnother(): Promise<void> {
    const worker = this.#fork();
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#starting.set(worker.id, { resolve, reject });
        const startTimeout = new StartError(
          'worker-late',
          `the new worker is not listening after ${START_LIMIT_MS / 1000} s`,
        );
        timer = setTimeout(() => reject(startTimeout), START_LIMIT_MS);
      });
    } catch (error) {
      await this.#stopWorker(worker);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#starting.delete(worker.id);
    }
  }

  async #stopWorker(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const ended = exitOf(worker);
    worker.process.kill('SIGKILL');
    await ended;
  }

  /** Drains a worker, and kills it if that takes too long. */
  async #retire(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const ended = exitOf(worker);
    this.send(worker.id, { tag: TAG, k: 'drain', reason: 'restart' });
    const killer = setTimeout(() => worker.process.kill('SIGKILL'), DRAIN_LIMIT_MS);
    await ended;
    clearTimeout(killer);
  }

  /** Sends to one worker; does nothing if it has exited. */
  send(worker: number, message: ToWorker): void {
    const target = cluster.workers?.[worker];
    if (target?.isConnected()) target.send(message);
  }

  sendAll(message: ToWorker): void {
    for (const worker of Object.values(cluster.workers ?? {})) if (worker?.isConnected()) worker.send(message);
  }

  /** Drains and stops all workers. Resolves when all have exited, if necessary killed. Closing twice is safe. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    clearInterval(this.#watchdogTimer);
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    const exits = workers.map(exitOf);
    this.sendAll({ tag: TAG, k: 'drain', reason: 'stop' });
    const killer = setTimeout(() => {
      for (const worker of workers) worker.process.kill('SIGKILL');
    }, DRAIN_LIMIT_MS);
    await Promise.all(exits);
    clearTimeout(killer);
    cluster.off('message', this.#onMessage);
    cluster.off('exit', this.#onExit);
  }
}

function exitOf(worker: Worker): Promise<void> {
  return new Promise((resolve) => worker.once('exit', () => resolve()));
}
