/** A TCP proxy that can be shut, so that no data passes and neither side notices, or cut. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Owner } from './owner.ts';

export class Valve {
  port = 0;
  readonly #sockets = new Set<Socket>();
  #isShut = false;

  static async open(t: Owner, to: number): Promise<Valve> {
    const valve = new Valve();
    const server = createServer((socket) => valve.#connect(socket, connect(to, '127.0.0.1')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    valve.port = (server.address() as AddressInfo).port;
    t.after(() => {
      server.close();
      valve.cut();
    });
    return valve;
  }

  #connect(client: Socket, server: Socket): void {
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (bytes) => void to.write(bytes));
      from.on('error', () => from.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#isShut) from.pause();
    }
  }

  shut(): void {
    this.#isShut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  open(): void {
    this.#isShut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Destroys all open connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
