/** A real TCP way to a Redis that is far away: answers take their time, and the round trips are counted. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Owner } from './visitor.ts';

export class FarRedis {
  port = 0;
  /** How long each answer takes, milliseconds. */
  delayMs: number;
  /** How often a connection sent something after the answers to what it had sent before: requests that are sent together are one. */
  trips = 0;
  readonly #isCounted: (request: string) => boolean;
  readonly #sockets = new Set<Socket>();

  private constructor(delayMs: number, isCounted: (request: string) => boolean) {
    this.delayMs = delayMs;
    this.#isCounted = isCounted;
  }

  /** `isCounted`: false of requests that are no part of what is measured. */
  static async open(t: Owner, to: number, delayMs: number, isCounted = (_: string) => true): Promise<FarRedis> {
    const far = new FarRedis(delayMs, isCounted);
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

  /** Round trips that something took. */
  async tripsOf(work: () => Promise<unknown>): Promise<number> {
    const before = this.trips;
    await work();
    return this.trips - before;
  }

  #connect(client: Socket, server: Socket): void {
    let isAnswered = true;
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
      if (isAnswered && this.#isCounted(bytes.toString('latin1'))) {
        this.trips += 1;
        isAnswered = false;
      }
      server.write(bytes);
    });
    // Timers of one length fire in order; one whose delay was lowered meanwhile must not overtake.
    let last = Promise.resolve();
    server.on('data', (bytes: Buffer) => {
      const due = new Promise((resolve) => setTimeout(resolve, this.delayMs));
      last = last.then(async () => {
        await due;
        isAnswered = true;
        if (!client.destroyed) client.write(bytes);
      });
    });
  }
}
