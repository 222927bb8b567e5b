import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Minute } from '../model/minute.ts';
import { MINUTE_MS, minuteOf, oldestMinute } from '../model/minute.ts';
import type { SeenSite } from '../protocol/ipc.ts';
import { NO_SITE, type SiteMinute } from '../protocol/peer.ts';
import type { StreamEvents } from '../protocol/stream-event.ts';

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
  /** Minutes of the last hour in which a server ran, Unix ms. */
  readonly #ran = new Set<number>();
  /** Minutes up to this one are kept where they outlive this process; Unix ms. */
  #keptUntil = minuteOf(Date.now()) - MINUTE_MS;

  #of(site: string): SiteRates {
    return getOrInsert(this.#bySite, site, () => ({ samples: 0, drops: 0, flushMs: 0, activity: [], minutes: [] }));
  }

  sites(): Iterable<string> {
    return this.#bySite.keys();
  }

  /** The past minutes of a site and the one at hand, oldest first. */
  minutes(site: string): Minute[] {
    return this.#bySite.get(site)?.minutes ?? [];
  }

  /** Takes what this machine had of a site before it was started anew, oldest first. To be told once. */
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

  /** A server ran in these minutes, Unix ms. */
  addRun(minutes: Iterable<number>, now: number): void {
    for (const t of minutes) this.#ran.add(t);
    for (const t of this.#ran) if (t < oldestMinute(now)) this.#ran.delete(t);
  }

  /** Minutes of a site, and those in which nobody was there; oldest first. One that is missing nobody can tell of. */
  withEmpty(minutes: readonly Minute[], now: number): Minute[] {
    const known = new Set(minutes.map(({ t }) => t));
    const empty = [...this.#ran].filter((t) => t >= oldestMinute(now) && !known.has(t));
    const all = [...minutes, ...empty.map((t) => ({ t, visitors: 0, samples: 0 }))];
    return all.sort((a, b) => a.t - b.t);
  }

  /** Minutes that are not kept yet, up to the one of `until`, Unix ms: those with anything in them, and those in which this machine ran. */
  unkept(until: number): SiteMinute[] {
    const isDue = (t: number) => t > this.#keptUntil && t <= until;
    const rows = [...this.#ran].filter(isDue).map((t): SiteMinute => ({ site: NO_SITE, t, visitors: 0, samples: 0 }));
    for (const [site, { minutes }] of this.#bySite)
      for (const minute of minutes)
        if (isDue(minute.t) && minute.visitors + minute.samples > 0) rows.push({ site, ...minute });
    return rows;
  }

  /** What was unkept is kept now. */
  kept(until: number): void {
    this.#keptUntil = until;
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
