/**
 * Bounds the TCP connections of one worker, whatever they say, so that some descriptors are always free. What visitors
 * may have on top of this is bounded by admission.ts.
 */
import type { Socket } from 'node:net';
import { countDown, countUp } from '../lib/count.ts';
import { clientShare } from './descriptors.ts';

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
    this.#mostPerAddress = Math.min(Math.max(limits.mostPerAddress, MIN_PLAIN), clientShare(limits.most));
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
    if (key !== undefined) countUp(this.#plain, key);
    this.#hold(socket, key);
    return undefined;
  }

  #faultOf(key: string | undefined): Dropped | undefined {
    if (this.#open.size >= this.#limits.most) return 'worker-full';
    return key !== undefined && (this.#plain.get(key) ?? 0) >= this.#mostPerAddress ? 'address-full' : undefined;
  }

  /**
   * The connection has become a WebSocket, and `fresh` has taken the place of its socket. The descriptor still counts,
   * but no longer as a plain connection of its address: admission.ts bounds the WebSockets of an address.
   */
  upgraded(old: Socket, fresh: Socket): void {
    if (!this.#open.has(old)) return;
    this.#leave(old);
    this.#hold(fresh, undefined);
  }

  /** Counts the socket until it closes, or until its connection has gone to another process, which closes it here. */
  #hold(socket: Socket, key: string | undefined): void {
    this.#open.set(socket, key);
    socket.once('close', () => this.#leave(socket));
  }

  #leave(socket: Socket): void {
    const key = this.#open.get(socket);
    if (key !== undefined) countDown(this.#plain, key);
    this.#open.delete(socket);
  }
}
