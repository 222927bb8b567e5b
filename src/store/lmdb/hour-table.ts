/** Stores the last hour of each site in LMDB. */
import type { Database } from 'lmdb';
import { maxFigures, oldestMinute } from '../../model/minute.ts';
import type { NodeMinutes, SiteMinute } from '../../protocol/peer.ts';
import { MAX_MINUTES, minutesByMachine, type StoredMinute } from '../minute-writer.ts';
import { LAST } from './tables.ts';

export type HourKey = [site: string, t: number, machine: string];
export type HourValue = [visitors: number, samples: number];

/** Each write checks this many minutes, plus some for each minute that it adds, and removes the old ones. */
const SWEEP = 1000;
const SWEEP_EACH = 4;

export class HourTable {
  readonly #rows: Database<HourValue, HourKey>;
  readonly #isSite: (key: string) => boolean;
  /** Where the sweep continues. */
  #sweptTo: HourKey | undefined;

  constructor(rows: Database<HourValue, HourKey>, isSite: (key: string) => boolean) {
    this.#rows = rows;
    this.#isSite = isSite;
  }

  /** Within a write: implements `Store.putMinutes`. */
  put(machine: string, minutes: readonly SiteMinute[], now: number): void {
    for (const minute of minutes) if (this.#isSite(minute.site)) this.#put(machine, minute);
    this.#sweep(SWEEP + SWEEP_EACH * minutes.length, oldestMinute(now));
  }

  #put(machine: string, { site, ...minute }: SiteMinute): void {
    const key: HourKey = [site, minute.t, machine];
    const [before, samplesBefore] = this.#rows.get(key) ?? [0, 0];
    const { visitors, samples } = maxFigures({ visitors: before, samples: samplesBefore }, minute);
    this.#rows.putSync(key, [visitors, samples]);
  }

  #sweep(limit: number, oldest: number): void {
    const start = this.#sweptTo;
    const keys = [...this.#rows.getKeys({ limit, ...(start && { start }) })];
    for (const key of keys) if (key[1] < oldest) this.#rows.removeSync(key);
    this.#sweptTo = keys.length === limit ? keys.at(-1) : undefined;
  }

  /** Implements `Store.minutes`. */
  read(site: string, from: number): NodeMinutes[] {
    const found: StoredMinute[] = [];
    const range = { start: [site, LAST], end: [site, from], reverse: true, limit: MAX_MINUTES } as const;
    for (const { key, value } of this.#rows.getRange(range as never)) {
      const [, t, machine] = key as HourKey;
      const [visitors, samples] = value as HourValue;
      found.push({ machine, t, visitors, samples });
    }
    return minutesByMachine(found);
  }

  /** Within a write: removes the minutes of a site. */
  clear(site: string): void {
    const range = { start: [site, 0], end: [site, LAST] } as const;
    for (const key of [...this.#rows.getKeys(range as never)]) this.#rows.removeSync(key as HourKey);
  }
}
