import { entry } from '../entry.ts';
import type { SeenSite } from '../protocol/relay.ts';
import type { Minute, StreamEvents } from '../protocol/stream.ts';

const MINUTE_MS = 60_000;
const KEPT_MINUTES = 60;
/** Visitors whose activity is told each second; a screen shows fewer. */
const MAX_ACTIVE = 1000;

interface SiteRates {
  samples: number;
  drops: number;
  flushMs: number;
  activity: number[];
  minutes: Minute[];
}

/** Counts per site: of the second at hand, and of the last 60 minutes. */
export class Rates {
  readonly #bySite = new Map<string, SiteRates>();

  #of(site: string): SiteRates {
    return entry(this.#bySite, site, () => ({ samples: 0, drops: 0, flushMs: 0, activity: [], minutes: [] }));
  }

  sites(): Iterable<string> {
    return this.#bySite.keys();
  }

  /** The past minutes of a site and the one at hand, oldest first. */
  minutes(site: string): Minute[] {
    return this.#bySite.get(site)?.minutes ?? [];
  }

  /** Takes a worker's report. The slowest pace of all workers counts. */
  add(seen: SeenSite, flushMs: number): void {
    const rates = this.#of(seen.site);
    rates.samples += seen.samples;
    rates.drops += seen.drops;
    rates.flushMs = Math.max(rates.flushMs, flushMs);
    for (let i = 0; i + 4 < seen.rows.length && rates.activity.length < 2 * MAX_ACTIVE; i += 5)
      rates.activity.push(seen.rows[i] as number, seen.rows[i + 4] as number);
  }

  /** A visitor came: a peak between two seconds counts as well. */
  joined(site: string, visitors: number): void {
    this.#minute(this.#of(site), Date.now(), visitors);
  }

  /** The minute at hand, or the last one there was anything in. */
  lastMinute(site: string): Minute | undefined {
    return this.#bySite.get(site)?.minutes.at(-1);
  }

  /** Closes the second: what to tell of it. A site without visitors and without memory is forgotten. */
  second(site: string, visitors: number, now: number): StreamEvents['rates'] {
    const rates = this.#of(site);
    const { samples, drops, flushMs, activity } = rates;
    const minute = this.#minute(rates, now, visitors);
    minute.samples += samples;
    Object.assign(rates, { samples: 0, drops: 0, flushMs: 0, activity: [] });
    if (visitors === 0 && rates.minutes.every((one) => one.visitors === 0)) this.#bySite.delete(site);
    return { t: now, visitors, samples, drops, flushMs, activity };
  }

  #minute(rates: SiteRates, now: number, visitors: number): Minute {
    const t = now - (now % MINUTE_MS);
    let minute = rates.minutes.at(-1);
    if (minute?.t !== t) {
      minute = { t, visitors: 0, samples: 0 };
      rates.minutes.push(minute);
      if (rates.minutes.length > KEPT_MINUTES) rates.minutes.shift();
    }
    minute.visitors = Math.max(minute.visitors, visitors);
    return minute;
  }
}
