/**
 * Bounds the TCP connections of one worker, whatever they say, so that some descriptors are always free. What visitors
 * may have on top of this is bounded by admission.ts.
 */
import type { Socket } from 'node:net';
import { countDown, countUp } from './count.ts';

/** One address may have at most this share of a worker's connections that are not WebSockets. */
const ADDRESS_SHARE = 0.25;
/** So many plain connections an address may have in any case: who has too many visitors is told so, not just cut. */
const MIN_PLAIN = 256;

export interface ConnectionLimits {
  /** Connections of any kind. */
  most: number;
  /** Connections of one address that are not WebSockets. */
  mostPerAddress: number;
  /** The key by which addresses are counted. */
  keyOf(address: string): string;
  /** True of proxies: each brings the connections of many visitors. */
  isProxy(address: string): boolean;
}

export type Dropped = 'worker-full' | 'address-full';

export class ConnectionLimit {
  /** Connections that were closed at once, by reason. */
  readonly dropped = new Map<Dropped, number>();
  readonly #limits: ConnectionLimits;
  readonly #mostPerAddress: number;
  readonly #plain = new Map<string, number>();
  readonly #open = new Map<Socket, string | undefined>();

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
    const share = Math.floor(limits.most * ADDRESS_SHARE);
    this.#mostPerAddress = Math.max(1, Math.min(Math.max(limits.mostPerAddress, MIN_PLAIN), share));
  }

  /** Counts a new connection until it closes. If it is one too many, it is closed at once and the reason returned. */
  admit(socket: Socket): Dropped | undefined {
    const { remoteAddress: address } = socket;
    // Connections of Unix sockets have no address.
    const key = address && !this.#limits.isProxy(address) ? this.#limits.keyOf(address) : undefined;
    const why = this.#faultOf(key);
    if (why !== undefined) {
      countUp(this.dropped, why);
      socket.destroy();
      return why;
    }
    this.#open.set(socket, key);
    if (key !== undefined) countUp(this.#plain, key);
    socket.once('close', () => this.leave(socket));
    return undefined;
  }

  #faultOf(key: string | undefined): Dropped | undefined {
    if (this.#open.size >= this.#limits.most) return 'worker-full';
    return key !== undefined && (this.#plain.get(key) ?? 0) >= this.#mostPerAddress ? 'address-full' : undefined;
  }

  /** The connection has become a WebSocket: from now on only its descriptor counts. */
  upgraded(socket: Socket): void {
    const key = this.#open.get(socket);
    if (key === undefined) return;
    this.#open.set(socket, undefined);
    countDown(this.#plain, key);
  }

  /** The connection is closed, or belongs to another process now. Twice is safe. */
  leave(socket: Socket): void {
    this.upgraded(socket);
    this.#open.delete(socket);
  }
}
