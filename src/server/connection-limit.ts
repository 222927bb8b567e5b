/**
 * Limits the TCP connections of one worker, whatever they are for, so that some descriptors are always free.
 * admission.ts limits the connections of visitors in addition.
 */
import type { Socket } from 'node:net';
import { countDown, countUp } from '../lib/count.ts';
import { clientShare } from './descriptors.ts';

/**
 * Minimum number of plain connections per address: a client with too many visitors gets an error, not just a closed
 * connection.
 */
const MIN_PLAIN = 256;

export interface ConnectionLimits {
  /** Maximum number of connections of any kind. */
  most: number;
  /** Maximum number of connections of one address that are not WebSockets. */
  mostPerAddress: number;
  /** The key under which an address is counted. */
  keyOf(address: string): string;
  /** True for proxies: each carries the connections of many visitors. */
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
  /** One listener for all sockets: a closure for each would cost memory while they are idle. */
  readonly #onClose: (this: Socket) => void;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
    const remove = (socket: Socket) => this.#remove(socket);
    this.#onClose = function () {
      remove(this);
    };
    this.#mostPerAddress = Math.min(Math.max(limits.mostPerAddress, MIN_PLAIN), clientShare(limits.most));
  }

  /** Counts a new connection until it closes. If a limit is reached, closes it at once and returns the reason. */
  admit(socket: Socket): Dropped | undefined {
    const { remoteAddress: address } = socket;
    // Connections over Unix sockets have no address.
    const key = address && !this.#limits.isProxy(address) ? this.#limits.keyOf(address) : undefined;
    const reason = this.#reasonToDrop(key);
    if (reason !== undefined) {
      countUp(this.dropped, reason);
      socket.destroy();
      return reason;
    }
    if (key !== undefined) countUp(this.#plain, key);
    this.#add(socket, key);
    return undefined;
  }

  #reasonToDrop(key: string | undefined): Dropped | undefined {
    if (this.#open.size >= this.#limits.most) return 'worker-full';
    return key !== undefined && (this.#plain.get(key) ?? 0) >= this.#mostPerAddress ? 'address-full' : undefined;
  }

  /**
   * The connection has become a WebSocket, and `fresh` has replaced its socket, or is the same. The descriptor still
   * counts, but no longer as a plain connection of its address: admission.ts limits the WebSockets of an address.
   */
  upgraded(old: Socket, fresh: Socket): void {
    if (!this.#open.has(old)) return;
    this.#remove(old);
    this.#add(fresh, undefined);
  }

  /**
   * Counts the socket until it closes, or until its connection has been handed to another process, which closes it
   * here.
   */
  #add(socket: Socket, key: string | undefined): void {
    this.#open.set(socket, key);
    socket.on('close', this.#onClose);
  }

  #remove(socket: Socket): void {
    const key = this.#open.get(socket);
    if (key !== undefined) countDown(this.#plain, key);
    this.#open.delete(socket);
  }
}
