/** A real TCP proxy that makes a Redis distant: it delays responses and counts round trips. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Owner } from './owner.ts';
import type { RedisCluster, RedisServer } from './redis.ts';

/**
 * Sequential round trips, over all proxies that share this object. The trip of a request is one more than the number of
 * trips completed when it is sent.
 */
export class Trips {
  /** Number of trips completed by a response. */
  count = 0;
}

export class FarRedis {
  port = 0;
  /** Delay of each response, milliseconds. */
  delayMs: number;
  readonly #trips: Trips;
  readonly #isCounted: (request: string) => boolean;
  readonly #sockets = new Set<Socket>();

  private constructor(delayMs: number, isCounted: (request: string) => boolean, trips: Trips) {
    this.delayMs = delayMs;
    this.#isCounted = isCounted;
    this.#trips = trips;
  }

  /** `isCounted` returns false for requests that are not measured. The proxies of a cluster's nodes share `trips`. */
  static async open(
    t: Owner,
    to: number,
    delayMs: number,
    isCounted = (_: string) => true,
    trips = new Trips(),
  ): Promise<FarRedis> {
    const far = new FarRedis(delayMs, isCounted, trips);
    const server = createServer((socket) => far.#connect(socket, connect(to, '127.0.0.1')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    far.port = (server.address() as AddressInfo).port;
    t.after(() => {
      server.close();
      for (const socket of far.#sockets) socket.destroy();
    });
    return far;
  }

  /** In the form `redis://127.0.0.1:PORT`. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  setDelay(ms: number): void {
    this.delayMs = ms;
  }

  /** Returns the number of sequential round trips of `work`. Requests sent together count as one. */
  async tripsOf(work: () => Promise<unknown>): Promise<number> {
    const before = this.#trips.count;
    await work();
    return this.#trips.count - before;
  }

  #connect(client: Socket, server: Socket): void {
    /** The trip of the last request that counts. */
    let trip = 0;
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => one.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    client.on('data', (bytes: Buffer) => {
      if (this.#isCounted(bytes.toString('latin1'))) trip = this.#trips.count + 1;
      server.write(bytes);
    });
    // Timers of equal length fire in order, but a response whose delay was lowered meanwhile must not overtake.
    let last = Promise.resolve();
    server.on('data', (bytes: Buffer) => {
      const answered = trip;
      const due = new Promise((resolve) => setTimeout(resolve, this.delayMs));
      last = last.then(async () => {
        await due;
        this.#trips.count = Math.max(this.#trips.count, answered);
        if (!client.destroyed) client.write(bytes);
      });
    });
  }
}

export interface FarCluster {
  /** Addresses of the proxies to its nodes, separated by commas. */
  url: string;
  nodes: readonly FarRedis[];
  /** Sets the delay of each response, milliseconds. */
  setDelay(ms: number): void;
  /** Like `FarRedis.tripsOf`; parallel requests to several nodes count as one. */
  tripsOf(work: () => Promise<unknown>): Promise<number>;
}

/** Opens proxies to all nodes of a cluster, and makes the nodes announce the proxies' ports to clients. */
export async function farCluster(
  t: Owner,
  { nodes }: RedisCluster,
  isCounted = (_: string) => true,
): Promise<FarCluster> {
  const trips = new Trips();
  const ways = await Promise.all(nodes.map(({ port }) => FarRedis.open(t, port, 0, isCounted, trips)));
  for (const [i, { cli }] of nodes.entries()) {
    // The nodes themselves still use the real ports.
    cli('config', 'set', 'cluster-announce-bus-port', cli('config', 'get', 'cluster-port').trim().split('\n')[1] ?? '');
    cli('config', 'set', 'cluster-announce-port', String((ways[i] as FarRedis).port));
  }
  const tellsWays = ({ cli }: RedisServer) => {
    const slots = cli('cluster', 'slots');
    return ways.every(({ port }) => slots.includes(`\n${port}\n`));
  };
  while (!nodes.every(tellsWays)) await sleep(50);
  return {
    url: ways.map(({ url }) => url).join(','),
    nodes: ways,
    setDelay: (ms) => {
      for (const way of ways) way.delayMs = ms;
    },
    tripsOf: (work) => (ways[0] as FarRedis).tripsOf(work),
  };
}
