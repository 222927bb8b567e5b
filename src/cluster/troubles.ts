import type { ToPrimary, TroubleName } from '../protocol/ipc.ts';

/** Codes of StoreError that mean: the store is not where it was, or is a different one. */
const LOST: ReadonlySet<string> = new Set(['no-store', 'not-a-store']);

/** Collects what `/healthz` and the dashboard report as wrong. */
export class Troubles {
  #ofStore: readonly TroubleName[] = [];
  /** A worker that was to replace another one found no store, or a different one. */
  #isStoreLost = false;

  readonly ofStore = (troubles: readonly TroubleName[]): void => {
    this.#ofStore = troubles;
  };

  /** Takes from a worker's message whether it found the store. */
  read(message: ToPrimary): void {
    if (message.k === 'failed') this.#isStoreLost = LOST.has(message.code);
    if (message.k === 'listening') this.#isStoreLost = false;
  }

  all(ofWorkers: readonly TroubleName[], isRedisAway: boolean): TroubleName[] {
    const away: TroubleName[] = isRedisAway ? ['redis-away'] : [];
    const lost: TroubleName[] = this.#isStoreLost ? ['store-lost'] : [];
    return [...new Set([...this.#ofStore, ...ofWorkers, ...away, ...lost])];
  }
}
