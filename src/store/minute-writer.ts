/**
 * Stores the last hour of each site, so that it outlives the process that counted it. Failures do not affect others:
 * figures that could not be stored are stored later, and what cannot be read is not shown.
 */
import { forEachConcurrently } from '../lib/concurrency.ts';
import { getOrInsert } from '../lib/get-or-insert.ts';
import { withTimeout } from '../lib/timeout.ts';
import type { Logger } from '../log/logger.ts';
import { type Minute, oldestMinute, raiseMinute } from '../model/minute.ts';
import { NO_SITE, type NodeMinutes, type Past, type SiteMinute } from '../protocol/peer.ts';
import { isUnreachable, type Store } from './contract.ts';

/** Maximum number of minutes of a site that are read, the newest: an hour of a hundred nodes. */
export const MAX_MINUTES = 6000;
/** How long a starting server, or a stream, waits, milliseconds. */
const RECALL_LIMIT_MS = 2000;
const PAST_LIMIT_MS = 2000;
/** Maximum number of sites read at once. */
const READS = 16;

export interface StoredMinute extends Minute {
  machine: string;
}

/** Groups minutes by node, oldest first. */
export function minutesByMachine(stored: Iterable<StoredMinute>): NodeMinutes[] {
  const machines = new Map<string, Map<number, Minute>>();
  for (const { machine, ...minute } of stored)
    raiseMinute(
      getOrInsert(machines, machine, () => new Map()),
      minute,
    );
  return [...machines].map(([machine, minutes]) => ({
    machine,
    minutes: [...minutes.values()].sort((a, b) => a.t - b.t),
  }));
}

export class MinuteWriter {
  readonly #store: Pick<Store, 'sites' | 'minutes' | 'putMinutes'>;
  readonly #log: Logger;
  #isTroubled = false;

  constructor(store: Pick<Store, 'sites' | 'minutes' | 'putMinutes'>, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  /** Stores a node's figures. Returns false if that is not possible now. */
  put(machine: string, minutes: readonly SiteMinute[]): Promise<boolean> {
    return this.#tried(async () => {
      await this.#store.putMinutes(machine, minutes, Date.now());
      return true;
    }, false);
  }

  /**
   * Calls `tell` with a node's figures of each site, and of NO_SITE, in the last hour. It may still be called after the
   * time limit.
   */
  async recall(machine: string, tell: (site: string, minutes: readonly Minute[]) => void): Promise<void> {
    const recalled = this.#tried(() => this.#recall(machine, tell), undefined);
    await withTimeout(recalled, RECALL_LIMIT_MS).catch(() => {});
  }

  async #recall(machine: string, tell: (site: string, minutes: readonly Minute[]) => void): Promise<void> {
    const keys = [NO_SITE, ...(await this.#store.sites()).map(({ key }) => key)];
    await forEachConcurrently(keys, READS, async (site) => {
      for (const one of await this.#store.minutes(site, oldestMinute(Date.now())))
        if (one.machine === machine) tell(site, one.minutes);
    });
  }

  /** Returns the nodes' figures of a site in the last hour, or null if they cannot be read in time. */
  past(site: string): Promise<Past | null> {
    const read = this.#tried(() => this.#past(site), null);
    return withTimeout(read, PAST_LIMIT_MS).catch(() => null);
  }

  async #past(site: string): Promise<Past> {
    const from = oldestMinute(Date.now());
    const [machines, runs] = await Promise.all([this.#store.minutes(site, from), this.#store.minutes(NO_SITE, from)]);
    return { machines, ran: [...new Set(runs.flatMap(({ minutes }) => minutes.map(({ t }) => t)))] };
  }

  /** Logs a failure once. That Redis is unreachable is already logged elsewhere. */
  async #tried<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      const value = await work();
      this.#isTroubled = false;
      return value;
    } catch (error) {
      if (!this.#isTroubled && !isUnreachable(error))
        this.#log.error(
          { err: error },
          'the minutes of the last hour cannot be stored or read; the live view continues',
        );
      this.#isTroubled ||= !isUnreachable(error);
      return otherwise;
    }
  }
}
