/** The lease of this node's id. It is renewed until the broker closes. */
import type { Redis } from '../redis/connection.ts';
import { MAX_UNRENEWED_MS, releaseNodeId, renewNodeId } from './node-id.ts';

/** How often the lease is renewed, milliseconds. */
const RENEW_MS = 10_000;

export class NodeLease {
  readonly #redis: Redis;
  readonly #node: string;
  readonly #nodeId: number;
  readonly #onLost: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** When the lease was last confirmed, performance.now(). */
  #confirmedAt = performance.now();

  /** `node` has just taken `nodeId`. `onLost` is called when another node has the id. */
  constructor(redis: Redis, node: string, nodeId: number, onLost: () => void) {
    this.#redis = redis;
    this.#node = node;
    this.#nodeId = nodeId;
    this.#onLost = onLost;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#renew(), RENEW_MS);
  }

  /** Resolves with false if another node may have the id by now. */
  async isHeld(): Promise<boolean> {
    if (!this.#isRecent()) await this.#renew();
    return this.#isRecent();
  }

  #isRecent(): boolean {
    return performance.now() - this.#confirmedAt < MAX_UNRENEWED_MS;
  }

  async #renew(): Promise<void> {
    const now = performance.now();
    const isRenewed = await renewNodeId(this.#redis, this.#node, this.#nodeId).catch(() => undefined);
    if (isRenewed) this.#confirmedAt = now;
    if (isRenewed !== false) return;
    this.#confirmedAt = Number.NEGATIVE_INFINITY;
    this.#onLost();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Frees the id for other nodes. Throws RedisError. */
  release(): Promise<void> {
    return releaseNodeId(this.#redis, this.#node, this.#nodeId);
  }
}
