/** What the baselines share: as many workers as the server under test, on one port, and a line that says so. */
import cluster, { type Worker } from 'node:cluster';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The load generator waits for this before it sends. */
export const HELLO = '{"type":"hello"}';

const WORKERS = Number(process.env.BENCH_WORKERS ?? 2);

/** Forks the workers and prints the port when all of them listen. `streams`: the port of the primary's own server. */
export function forkWorkers(onMessage: (worker: Worker, message: unknown) => void, streams = 0): void {
  let listening = 0;
  cluster.on('message', onMessage);
  cluster.on('listening', (_worker, { port }) => {
    listening += 1;
    if (listening === WORKERS) console.log(`listens on tcp://127.0.0.1:${port} ${streams}`);
  });
  for (let i = 0; i < WORKERS; i++) cluster.fork();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => process.exit(0));
}

export function listenInWorker(server: Server): void {
  server.listen(0, '127.0.0.1');
  process.on('disconnect', () => process.exit(0));
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
