/**
 * Looks up sites for visitors. Sites that were read before are remembered: while the store is unreachable, their
 * visitors are still accepted and shown.
 */
import type { Site } from '../../model/site.ts';
import { isUnreachable, type Store } from '../contract.ts';

/** A store that does not answer within this time counts as unreachable, milliseconds. */
const PATIENCE_MS = 500;
const MAX_KNOWN = 10_000;

export class KnownSites {
  readonly #store: Pick<Store, 'site'>;
  readonly #known = new Map<string, Site>();

  constructor(store: Pick<Store, 'site'>) {
    this.#store = store;
  }

  /** Like `Store.site`. Throws StoreError `unreachable` only for a site that was never read. */
  async site(key: string): Promise<Site | undefined> {
    const asked = this.#ask(key);
    const known = this.#known.get(key);
    if (known === undefined) return asked;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Site>((resolve) => {
      timer = setTimeout(() => resolve(known), PATIENCE_MS);
    });
    try {
      return await Promise.race([asked, late]);
    } catch (error) {
      if (isUnreachable(error)) return known;
      throw error;
    } finally {
      clearTimeout(timer);
      // It may fail after the timeout, when nothing waits for it any more.
      asked.catch(() => {});
    }
  }

  async #ask(key: string): Promise<Site | undefined> {
    const site = await this.#store.site(key);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    if (site) this.#known.set(key, site);
    else this.#known.delete(key);
    return site;
  }
}
