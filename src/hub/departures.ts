/** The visitors that left each site last, for people who open the site's dashboard. In memory only. */
import type { Departure } from '../model/visitor.ts';

/** Maximum number of departures per site, and their maximum age in milliseconds. */
const MAX_DEPARTURES = 20;
const RETENTION_MS = 3_600_000;

export class Departures {
  /** Oldest first. */
  readonly #bySite = new Map<string, Departure[]>();

  add(site: string, departure: Departure): void {
    const departures = this.#bySite.get(site) ?? [];
    // Reinsert the site, so that the map is ordered by each site's latest departure.
    this.#bySite.delete(site);
    this.#bySite.set(site, [...departures.slice(1 - MAX_DEPARTURES), departure]);
  }

  /** The departures of a site within the past hour, oldest first. */
  of(site: string, now: number): Departure[] {
    return (this.#bySite.get(site) ?? []).filter(({ t }) => t > now - RETENTION_MS);
  }

  /** Forgets sites without a departure in the past hour. */
  sweep(now: number): void {
    for (const [site, departures] of this.#bySite) {
      if ((departures.at(-1) as Departure).t > now - RETENTION_MS) return;
      this.#bySite.delete(site);
    }
  }
}
