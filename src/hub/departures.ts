/** Who left each site last, for those who begin to watch it. In memory only. */
import type { Departure } from '../model/visitor.ts';

/** So many are kept of each site, for so long, milliseconds. */
const MAX_KEPT = 20;
const KEPT_MS = 3_600_000;

export class Departures {
  /** Oldest first. */
  readonly #bySite = new Map<string, Departure[]>();

  add(site: string, departure: Departure): void {
    const kept = this.#bySite.get(site) ?? [];
    // The site that somebody left last stands last.
    this.#bySite.delete(site);
    this.#bySite.set(site, [...kept.slice(1 - MAX_KEPT), departure]);
  }

  /** The last ones of a site that are of the past hour, oldest first. */
  of(site: string, now: number): Departure[] {
    return (this.#bySite.get(site) ?? []).filter(({ t }) => t > now - KEPT_MS);
  }

  /** Forgets sites that nobody has left for an hour. */
  sweep(now: number): void {
    for (const [site, kept] of this.#bySite) {
      if ((kept.at(-1) as Departure).t > now - KEPT_MS) return;
      this.#bySite.delete(site);
    }
  }
}
