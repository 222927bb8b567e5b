import type { Watch } from '../capacity-model.ts';
import type { Watchers } from './watchers.ts';

/** How sites are watched, in the mean of many looks. */
export class Watching {
  readonly #machines: number;
  readonly #sums: Watch[];
  #looks = 0;

  constructor(machines: number, sites: number) {
    this.#machines = machines;
    this.#sums = Array.from({ length: sites }, () => ({ watched: 0, published: 0, read: 0 }));
  }

  look(watchers: Watchers): void {
    this.#looks += 1;
    for (const [site, sum] of this.#sums.entries()) {
      const readers = watchers.readers[site] as number;
      if (readers > 0 || watchers.isTold(site)) this.#add(sum, site, readers, watchers);
    }
  }

  #add(sum: Watch, site: number, readers: number, watchers: Watchers): void {
    for (let machine = 0; machine < this.#machines; machine++) {
      const isPublished = watchers.isWatchedElsewhere(machine, site);
      sum.watched += watchers.isWatched(machine, site) ? 1 : 0;
      sum.published += isPublished ? 1 : 0;
      sum.read += isPublished ? readers : 0;
    }
  }

  means(): Watch[] {
    const each = this.#looks * this.#machines;
    return this.#sums.map(({ watched, published, read }) => ({
      watched: watched / each,
      published: published / each,
      read: read / each,
    }));
  }
}
