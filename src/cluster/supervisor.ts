/**
 * The processes: forks the workers, forks a dead one again, drains them all at the end. Says what happened
 * through callbacks; knows nothing of what the workers do.
 */
import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import { countUp } from '../lib/count.ts';
import type { Logger } from '../log/logger.ts';
import { isToPrimary, TAG, type ToPrimary, type ToWorker, type TroubleName } from '../protocol/ipc.ts';
import { Backoff } from './backoff.ts';
import { type LoadReport, LoadReporter } from './load-report.ts';
import { HEARTBEAT_MS, Watchdog } from './watchdog.ts';

/** A worker that has not drained by then is killed, milliseconds. A whole stop may take 5 s. */
const DRAIN_LIMIT_MS = 3000;
/** A new worker that takes the place of another has to listen by then, milliseconds. */
const START_LIMIT_MS = 20_000;
/** Of workers that have grown too large one is replaced so often, milliseconds: what makes them grow may not have ended. */
const RENEW_MS = 60_000;

/** Why a worker took the place of another. */
type RestartReason = 'died' | 'hung' | 'memory' | 'reload';

export interface SupervisorOptions {
  workers: number;
  /** The file that workers run, and its arguments. */
  exec: string;
  args: readonly string[];
  /** What workers have in their environment beside ours. */
  env?: Readonly<Record<string, string>>;
  /** A worker with more memory of its own is replaced, bytes. */
  maxMemory: number;
  log: Logger;
}

export interface SupervisorEvents {
  onFork(worker: number): void;
  /** A worker hears what it is sent from now on; Node drops what came before. */
  onListening(worker: number): void;
  onMessage(worker: number, message: ToPrimary, socket: Socket | undefined): void;
  onExit(worker: number): void;
  /** Workers keep dying, or one died as it does when memory or a mapped file is broken. */
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

/** A worker said that it cannot start, e.g. because the port is in use. */
export class StartError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'StartError';
    this.code = code;
  }
}

/**
 * V8 lets the space for new objects grow to 16 MB, thrice over, and is slow to give it back. Half of that makes 15,000
 * idle visitors 70 MB smaller (npm run bench -- idle); with a quarter, HTTP becomes slower (npm run bench -- http).
 */
const YOUNG_GENERATION = '--max-semi-space-size=8';

/** Environment variable that tells a worker the process that forked it. */
const SUPERVISOR_MARK = 'FIELDMOUSE_SUPERVISOR';

/** True in a worker that a Supervisor forked, and not another program, as PM2 does in its cluster mode. */
export function isOwnWorker(): boolean {
  return process.env[SUPERVISOR_MARK] === String(process.ppid);
}

/** Signals by which a process ends that uses a broken page of the store. */
const CRASHES: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGBUS', 'SIGABRT']);

export class Supervisor {
  readonly #options: SupervisorOptions;
  #events = NO_EVENTS;
  readonly #backoff = new Backoff();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #listening = new Set<number>();
  /** Where the workers listen, as URLs; empty until all did so for the first time. */
  #addresses: string[] = [];
  #closing: Promise<void> | undefined;
  #started: { resolve(addresses: string[]): void; reject(error: Error): void } | undefined;
  /** New workers that are waited for, each to take the place of another. */
  readonly #awaited = new Map<number, { resolve(): void; reject(error: Error): void }>();
  /** Workers that are about to be replaced: nobody is to be started for them when they end. */
  readonly #retiring = new Set<number>();
  #rolling: Promise<number> | undefined;
  readonly #watchdog = new Watchdog();
  readonly #pulse = new LoadReporter();
  /** Of each worker's event loop in its last second, milliseconds. */
  readonly #delays = new Map<number, number>();
  /** What each worker has said is wrong, in its last second. */
  readonly #troubles = new Map<number, readonly TroubleName[]>();
  /** Workers that were killed since they did not answer, until they end. */
  readonly #hung = new Set<number>();
  readonly #restarts = new Map<RestartReason, number>();
  #watching: NodeJS.Timeout | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #renewing: Promise<void> | undefined;
  /** Who is told how far that is. */
  readonly #told = new Set<(done: number, total: number) => void>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Forks the workers. Resolves with the addresses when every one listens; rejects with StartError. */
  start(events: SupervisorEvents): Promise<string[]> {
    this.#events = events;
    const { exec, args, workers } = this.#options;
    // Workers accept by themselves. When the primary hands connections out, one that is on its way to a worker that
    // dies is never answered and never closed, and a busy primary delays every accept (npm run bench -- upgrade).
    if (!process.env.NODE_CLUSTER_SCHED_POLICY) cluster.schedulingPolicy = cluster.SCHED_NONE;
    const execArgv = [...process.execArgv, YOUNG_GENERATION];
    cluster.setupPrimary({ exec, args: [...args], execArgv, silent: false });
    cluster.on('message', this.#onMessage);
    cluster.on('exit', this.#onExit);
    this.#watching = setInterval(() => this.#killHung(), HEARTBEAT_MS);
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      for (let i = 0; i < workers; i++) this.#fork();
    });
  }

  #fork(): Worker {
    const worker = cluster.fork({ ...this.#options.env, [SUPERVISOR_MARK]: String(process.pid) });
    // A worker that dies while a message is on its way makes the send fail; its exit is handled on its own.
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
    this.#awaited.get(worker)?.reject(new StartError(code, message));
  }

  #onListening(worker: number, addresses: string[]): void {
    this.#listening.add(worker);
    this.#events.onListening(worker);
    this.#awaited.get(worker)?.resolve();
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
    if (memory > this.#options.maxMemory) this.#renew(worker, memory);
  }

  /** Replaces a worker that has grown too large: a new one listens before it drains. */
  #renew(worker: Worker, memory: number): void {
    const now = performance.now();
    if (this.#closing || this.#rolling || now - this.#renewedAt < RENEW_MS) return;
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

  /** The longest delay of any event loop, of the workers' in the last second, of ours since this was asked, milliseconds. */
  delayMs(): number {
    return Math.max(this.#pulse.report().delayMs, ...this.#delays.values());
  }

  /** What workers say is wrong now. */
  troubles(): TroubleName[] {
    return [...this.#troubles.values()].flat();
  }

  /** Workers now, and how many were started in the place of others so far. */
  figures(): { workers: number; restarts: ReadonlyMap<string, number> } {
    return { workers: Object.keys(cluster.workers ?? {}).length, restarts: this.#restarts };
  }

  readonly #onExit = (worker: Worker, code: number | null, signal: string | null): void => {
    this.#listening.delete(worker.id);
    this.#watchdog.forget(worker.id);
    this.#delays.delete(worker.id);
    this.#troubles.delete(worker.id);
    this.#events.onExit(worker.id);
    const awaited = this.#awaited.get(worker.id);
    awaited?.reject(new StartError('worker-died', `the new worker exited during startup (${signal ?? code})`));
    if (this.#closing || awaited || this.#retiring.has(worker.id)) return;
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
   * Replaces the workers there are, one after the other: a new one listens before the old one drains. `tell` is called
   * after each. Resolves with how many were replaced. Throws StartError if a new worker does not start: the others stay. Asked again
   * meanwhile, it is the same.
   */
  roll(tell: (done: number, total: number) => void): Promise<number> {
    this.#told.add(tell);
    this.#rolling ??= this.#roll().finally(() => {
      this.#rolling = undefined;
      this.#told.clear();
    });
    return this.#rolling;
  }

  async #roll(): Promise<number> {
    await this.#renewing;
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    let done = 0;
    for (const worker of workers) {
      if (this.#closing) throw new StartError('closing', 'the server is being stopped');
      // Another has been started for it already.
      if (!worker.isDead()) await this.#replace(worker, 'reload');
      done += 1;
      for (const tell of this.#told) tell(done, workers.length);
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

  /** Resolves when a new worker listens. One that does not is killed. */
  async #startAnother(): Promise<void> {
    const worker = this.#fork();
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#awaited.set(worker.id, { resolve, reject });
        const late = new StartError('worker-late', `the new worker is not listening after ${START_LIMIT_MS / 1000} s`);
        timer = setTimeout(() => reject(late), START_LIMIT_MS);
      });
    } catch (error) {
      await this.#end(worker);
      throw error;
    } finally {
      clearTimeout(timer);
      this.#awaited.delete(worker.id);
    }
  }

  async #end(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const ended = exitOf(worker);
    worker.process.kill('SIGKILL');
    await ended;
  }

  /** Has a worker drain; it is killed if that takes too long. */
  async #retire(worker: Worker): Promise<void> {
    if (worker.isDead()) return;
    const ended = exitOf(worker);
    this.send(worker.id, { tag: TAG, k: 'drain', reason: 'restart' });
    const killer = setTimeout(() => worker.process.kill('SIGKILL'), DRAIN_LIMIT_MS);
    await ended;
    clearTimeout(killer);
  }

  /** Sends to one worker; silent if it is gone. */
  send(worker: number, message: ToWorker): void {
    const target = cluster.workers?.[worker];
    if (target?.isConnected()) target.send(message);
  }

  sendAll(message: ToWorker): void {
    for (const worker of Object.values(cluster.workers ?? {})) if (worker?.isConnected()) worker.send(message);
  }

  /** Drains and ends every worker. Resolves when all are gone, killed if need be. Closing twice is safe. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    clearInterval(this.#watching);
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
