/** The lease of this node's id. It is renewed until the broker closes. */
import type { Redis } from '../redis/connection.ts';
import { MAX_UNRENEWED_MS, releaseNodeId, renewNodeId } from './node-id.ts';

/** How often the lease is renewed, milliseconds. */
const RENEW_MS = 10_000;

/**
 * A time on two clocks, milliseconds. `steady` is performance.now(), which stops while the system sleeps, but Redis
 * goes on counting the lease. `wall` is Date.now(), which may be set back.
 */
interface Moment {
  steady: number;
  wall: number;
}

export class NodeLease {
  readonly #redis: Redis;
  readonly #node: string;
  readonly #nodeId: number;
  readonly #onLost: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** When the lease was last confirmed; undefined if it is lost. */
  #confirmed: Moment | undefined = momentNow();

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
    return this.#confirmed !== undefined && msSince(this.#confirmed) < MAX_UNRENEWED_MS;
  }

  async #renew(): Promise<void> {
    const now = momentNow();
    const isRenewed = await renewNodeId(this.#redis, this.#node, this.#nodeId).catch(() => undefined);
    if (isRenewed === undefined) return;
    this.#confirmed = isRenewed ? now : undefined;
    if (!isRenewed) this.#onLost();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Frees the id for other nodes. Throws RedisError. */
  release(): Promise<void> {
    return releaseNodeId(this.#redis, this.#node, this.#nodeId);
  }
}

function momentNow(): Moment {
  return { steady: performance.now(), wall: Date.now() };
}

/** By the clock that has advanced further: renewing too early does no harm. */
function msSince({ steady, wall }: Moment): number {
  return Math.max(performance.now() - steady, Date.now() - wall);
}
