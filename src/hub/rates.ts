import { getOrInsert } from '../lib/get-or-insert.ts';
import { MINUTE_MS, type Minute, minuteOf, oldestMinute } from '../model/minute.ts';
import type { SeenSite } from '../protocol/ipc.ts';
import { NO_SITE, type SiteMinute } from '../protocol/peer.ts';
import { MAX_ACTIVE, type StreamEvents } from '../protocol/stream-event.ts';

interface SiteRates {
  samples: number;
  drops: number;
  flushMs: number;
  activity: number[];
  minutes: Minute[];
}

/** Counts per site: in the current second, and in each of the last 60 minutes. */
export class Rates {
  readonly #bySite = new Map<string, SiteRates>();
  /** Minutes of the last hour in which a server was running, Unix ms. */
  readonly #ran = new Set<number>();
  /** Minutes up to this one are stored outside this process; Unix ms. */
  #storedUntil = minuteOf(Date.now()) - MINUTE_MS;

  #of(site: string): SiteRates {
    return getOrInsert(this.#bySite, site, () => ({ samples: 0, drops: 0, flushMs: 0, activity: [], minutes: [] }));
  }

  sites(): Iterable<string> {
    return this.#bySite.keys();
  }

  /** The past minutes of a site and the current one, oldest first. */
  minutes(site: string): Minute[] {
    return this.#bySite.get(site)?.minutes ?? [];
  }

  /** Adds the stored minutes of this node from before a restart, oldest first. Call once per site. */
  recall(site: string, past: readonly Minute[], now: number): void {
    const rates = this.#of(site);
    const byTime = new Map(past.filter(({ t }) => t >= oldestMinute(now)).map((minute) => [minute.t, { ...minute }]));
    for (const minute of rates.minutes) {
      const before = byTime.get(minute.t);
      if (before) minute.visitors = Math.max(minute.visitors, before.visitors);
      if (before) minute.samples += before.samples;
      byTime.set(minute.t, minute);
    }
    rates.minutes = [...byTime.values()].sort((a, b) => a.t - b.t);
  }

  /** Records that a server was running in these minutes, Unix ms. */
  addRun(minutes: Iterable<number>, now: number): void {
    for (const t of minutes) this.#ran.add(t);
    for (const t of this.#ran) if (t < oldestMinute(now)) this.#ran.delete(t);
  }

  /**
   * Minutes of a site, with empty minutes for those in which no visitor was there; oldest first. A minute is missing if
   * no server was running.
   */
  withEmpty(minutes: readonly Minute[], now: number): Minute[] {
    const known = new Set(minutes.map(({ t }) => t));
    const empty = [...this.#ran].filter((t) => t >= oldestMinute(now) && !known.has(t));
    const all = [...minutes, ...empty.map((t) => ({ t, visitors: 0, samples: 0 }))];
    return all.sort((a, b) => a.t - b.t);
  }

  /**
   * Minutes up to `until` (Unix ms) that are not stored yet: those with activity, and those in which this node was
   * running.
   */
  unstored(until: number): SiteMinute[] {
    const isDue = (t: number) => t > this.#storedUntil && t <= until;
    const rows = [...this.#ran].filter(isDue).map((t): SiteMinute => ({ site: NO_SITE, t, visitors: 0, samples: 0 }));
    for (const [site, { minutes }] of this.#bySite)
      for (const minute of minutes)
        if (isDue(minute.t) && minute.visitors + minute.samples > 0) rows.push({ site, ...minute });
    return rows;
  }

  /** The minutes up to `until` are stored. */
  markStored(until: number): void {
    this.#storedUntil = until;
  }

  /** Adds a worker's report. The slowest interval of all workers counts. */
  add(seen: SeenSite, flushMs: number): void {
    const rates = this.#of(seen.site);
    rates.samples += seen.samples;
    rates.drops += seen.drops;
    rates.flushMs = Math.max(rates.flushMs, flushMs);
    for (let i = 0; i + 4 < seen.rows.length && rates.activity.length < 2 * MAX_ACTIVE; i += 5)
      rates.activity.push(seen.rows[i] as number, seen.rows[i + 4] as number);
  }

  /** A visitor came. This also counts a peak between two seconds. */
  joined(site: string, visitors: number): void {
    this.#minute(this.#of(site), Date.now(), visitors);
  }

  /** The current minute, or the last one with activity. */
  lastMinute(site: string): Minute | undefined {
    return this.#bySite.get(site)?.minutes.at(-1);
  }

  /** Ends the current second and returns its event data. A site without visitors and without minutes is forgotten. */
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
    const t = minuteOf(now);
    let minute = rates.minutes.at(-1);
    if (minute?.t !== t) {
      minute = { t, visitors: 0, samples: 0 };
      rates.minutes.push(minute);
      while (rates.minutes[0] && rates.minutes[0].t < oldestMinute(now)) rates.minutes.shift();
    }
    minute.visitors = Math.max(minute.visitors, visitors);
    return minute;
  }
}
