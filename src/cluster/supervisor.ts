/**
 * The processes: forks the workers, forks a dead one again, drains them all at the end. Says what happened
 * through callbacks; knows nothing of what the workers do.
 */
import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import type { Logger } from '../logger.ts';
import { isToPrimary, TAG, type ToPrimary, type ToWorker } from '../protocol/relay.ts';
import { Backoff } from './backoff.ts';

/** A worker that has not drained by then is killed, milliseconds. A whole stop may take 5 s. */
const DRAIN_LIMIT_MS = 3000;

export interface SupervisorOptions {
  workers: number;
  /** The file that workers run, and its arguments. */
  exec: string;
  args: readonly string[];
  log: Logger;
  /** A worker was forked; what it must know first can be sent now. */
  onFork(worker: number): void;
  onMessage(worker: number, message: ToPrimary, socket: Socket | undefined): void;
  onExit(worker: number): void;
}

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

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #backoff = new Backoff();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #listening = new Set<number>();
  /** Where the workers listen, as URLs; empty until all did so for the first time. */
  #addresses: string[] = [];
  #closing: Promise<void> | undefined;
  #started: { resolve(addresses: string[]): void; reject(error: Error): void } | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Forks the workers. Resolves with the addresses when every one listens; rejects with StartError. */
  start(): Promise<string[]> {
    const { exec, args, workers } = this.#options;
    // Workers accept by themselves. When the primary hands connections out, one that is on its way to a worker that
    // dies is never answered and never closed, and a busy primary delays every accept (npm run bench -- upgrade).
    if (!process.env.NODE_CLUSTER_SCHED_POLICY) cluster.schedulingPolicy = cluster.SCHED_NONE;
    const execArgv = [...process.execArgv, YOUNG_GENERATION];
    cluster.setupPrimary({ exec, args: [...args], execArgv, silent: false });
    cluster.on('message', this.#onMessage);
    cluster.on('exit', this.#onExit);
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject };
      for (let i = 0; i < workers; i++) this.#fork();
    });
  }

  #fork(): void {
    const worker = cluster.fork();
    // A worker that dies while a message is on its way makes the send fail; its exit is handled on its own.
    worker.on('error', (error) =>
      this.#options.log.debug({ worker: worker.id, code: error.message }, 'worker channel'),
    );
    this.#options.onFork(worker.id);
  }

  readonly #onMessage = (worker: Worker, message: unknown, handle: unknown): void => {
    if (!isToPrimary(message)) return;
    if (message.k === 'listening') this.#onListening(worker.id, message.addresses);
    else if (message.k === 'failed') this.#onFailed(worker.id, message);
    this.#options.onMessage(worker.id, message, handle as Socket | undefined);
  };

  #onFailed(worker: number, { code, message }: { code: string; message: string }): void {
    if (this.#addresses.length === 0) this.#started?.reject(new StartError(code, message));
    else this.#options.log.error({ worker, code }, message);
  }

  #onListening(worker: number, addresses: string[]): void {
    this.#listening.add(worker);
    if (this.#listening.size < this.#options.workers) return;
    this.#addresses = addresses;
    this.#started?.resolve(addresses);
  }

  readonly #onExit = (worker: Worker, code: number | null, signal: string | null): void => {
    this.#listening.delete(worker.id);
    this.#options.onExit(worker.id);
    if (this.#closing) return;
    if (this.#addresses.length === 0)
      this.#started?.reject(new StartError('worker-died', `a worker ended at the start (${signal ?? code})`));
    const { delayMs, looping, deaths } = this.#backoff.death(Date.now());
    const fields = { worker: worker.id, pid: worker.process.pid, code, signal, delayMs };
    if (looping) this.#options.log.error({ ...fields, deaths }, 'workers keep dying; slowing down');
    else this.#options.log.warn(fields, 'worker died; starting another');
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#fork();
    }, delayMs);
    this.#timers.add(timer);
  };

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
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
    const exits = workers.map((worker) => new Promise<void>((resolve) => worker.once('exit', () => resolve())));
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
