/** A real TCP way to a Redis that is far away: answers take their time, and the round trips are counted. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Owner } from './owner.ts';
import type { RedisCluster, RedisServer } from './redis.ts';

/**
 * Round trips in a row, over all ways that share it: a request comes one after the last answer there was when it was
 * sent.
 */
export class Trips {
  /** Of the answers so far. */
  count = 0;
}

export class FarRedis {
  port = 0;
  /** How long each answer takes, milliseconds. */
  delayMs: number;
  readonly #trips: Trips;
  readonly #isCounted: (request: string) => boolean;
  readonly #sockets = new Set<Socket>();

  private constructor(delayMs: number, isCounted: (request: string) => boolean, trips: Trips) {
    this.delayMs = delayMs;
    this.#isCounted = isCounted;
    this.#trips = trips;
  }

  /**
   * `isCounted`: false of requests that are no part of what is measured. `trips` are shared by the ways to the nodes of
   * a cluster.
   */
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

  /** As `redis://127.0.0.1:PORT`. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  setDelay(ms: number): void {
    this.delayMs = ms;
  }

  /** Round trips in a row that something took: requests that are sent together are one. */
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
    // Timers of one length fire in order; one whose delay was lowered meanwhile must not overtake.
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
  /** Addresses of the ways to its nodes, with commas between. */
  url: string;
  nodes: readonly FarRedis[];
  /** How long each answer takes, milliseconds. */
  setDelay(ms: number): void;
  /** As of `FarRedis`; what is asked of several nodes at the same time is one. */
  tripsOf(work: () => Promise<unknown>): Promise<number>;
}

/** Ways to all nodes of a cluster, which tell their clients of no others. */
export async function farCluster(
  t: Owner,
  { nodes }: RedisCluster,
  isCounted = (_: string) => true,
): Promise<FarCluster> {
  const trips = new Trips();
  const ways = await Promise.all(nodes.map(({ port }) => FarRedis.open(t, port, 0, isCounted, trips)));
  for (const [i, { cli }] of nodes.entries()) {
    // Other nodes go on to use the true ones.
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
