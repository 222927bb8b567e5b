import type { ToPrimary, TroubleName } from '../protocol/ipc.ts';

/** Codes of StoreError that mean that the store is missing, or was replaced by another one. */
const LOST: ReadonlySet<string> = new Set(['no-store', 'not-a-store']);

/** Collects what `/healthz` and the dashboard report as wrong. */
export class Troubles {
  #ofStore: readonly TroubleName[] = [];
  /** The last worker that tried to start found no store, or a different one. */
  #isStoreLost = false;

  readonly ofStore = (troubles: readonly TroubleName[]): void => {
    this.#ofStore = troubles;
  };

  /** Notes whether a starting worker found the store. */
  read(message: ToPrimary): void {
    if (message.k === 'failed') this.#isStoreLost = LOST.has(message.code);
    if (message.k === 'listening') this.#isStoreLost = false;
  }

  all(ofWorkers: readonly TroubleName[], isRedisAway: boolean): TroubleName[] {
    const redisTroubles: TroubleName[] = isRedisAway ? ['redis-away'] : [];
    const storeTroubles: TroubleName[] = this.#isStoreLost ? ['store-lost'] : [];
    return [...new Set([...this.#ofStore, ...ofWorkers, ...redisTroubles, ...storeTroubles])];
  }
}
