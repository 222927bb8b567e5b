/**
 * Administrators who come, watch a site and leave, on machines that regularly tell each other what is watched on them.
 */
import { type Assumptions, sessionsOf } from '../capacity-model.ts';
import type { Calendar } from './calendar.ts';
import { type Chance, sumsOf } from './chance.ts';

/** Interval at which a node sends what is watched on it, milliseconds. */
export const ALIVE_MS = 2000;

export interface WatchersOptions {
  machines: number;
  /** Sessions of each site that come in a second. */
  arrivals: readonly number[];
  viewS: number;
  /** A site counts as watched for this time after its last administrator has left, seconds. */
  lingerS: number;
  /** A site is watched on a node from now on, or no longer. */
  onWatch?(machine: number, site: number): void;
  onUnwatch?(machine: number, site: number): void;
  /** A node has sent the number of sites that are watched on it. */
  onTold?(sites: number): void;
}

/** How often administrators come, so that as many look or linger as the model has it. */
export function sessionsFrom(shares: readonly number[], people: Assumptions) {
  const { viewS, lingerS } = people;
  return { arrivals: sessionsOf(shares, people).map((sessions) => sessions / (viewS + lingerS)), viewS, lingerS };
}

export class Watchers {
  readonly #options: WatchersOptions;
  readonly #calendar: Calendar;
  readonly #chance: Chance;
  /** Sessions that look or linger, by machine and site. */
  readonly #sessions: Map<number, number>[];
  /** What each machine has told last, and how many machines told a site. */
  readonly #told: Set<number>[];
  readonly #tellers: Int32Array;
  /** How many machines watch each site. */
  readonly readers: Int32Array;

  constructor(options: WatchersOptions, calendar: Calendar, chance: Chance) {
    const { machines, arrivals, viewS } = options;
    this.#options = options;
    this.#calendar = calendar;
    this.#chance = chance;
    this.#sessions = Array.from({ length: machines }, () => new Map());
    this.#told = Array.from({ length: machines }, () => new Set());
    this.#tellers = new Int32Array(arrivals.length);
    this.readers = new Int32Array(arrivals.length);
    const rate = arrivals.reduce((a, b) => a + b, 0);
    if (rate > 0) this.#come(sumsOf(arrivals.map((one) => one / rate)), 1000 / rate, 1000 * viewS);
    for (let machine = 0; machine < machines; machine++)
      calendar.after(chance.below(ALIVE_MS), () => this.#tell(machine));
  }

  /** True if a machine has said that the site is watched there, other than this one. */
  isWatchedElsewhere(machine: number, site: number): boolean {
    return (this.#tellers[site] as number) > (this.#told[machine]?.has(site) ? 1 : 0);
  }

  /** True if any machine has said so. */
  isTold(site: number): boolean {
    return (this.#tellers[site] as number) > 0;
  }

  /** True as far as this machine knows. */
  isWatched(machine: number, site: number): boolean {
    return (this.#tellers[site] as number) > 0 || this.#sessions[machine]?.has(site) === true;
  }

  #come(sums: readonly number[], everyMs: number, viewMs: number): void {
    this.#calendar.after(this.#chance.wait(everyMs), () => this.#come(sums, everyMs, viewMs));
    this.#open(this.#chance.below(this.#sessions.length), this.#chance.among(sums), viewMs);
  }

  #open(machine: number, site: number, viewMs: number): void {
    const sessions = this.#sessions[machine] as Map<number, number>;
    const before = sessions.get(site) ?? 0;
    sessions.set(site, before + 1);
    if (before === 0) this.#turn(machine, site, 1);
    const stayMs = this.#chance.wait(viewMs) + 1000 * this.#options.lingerS;
    this.#calendar.after(stayMs, () => this.#close(sessions, machine, site));
  }

  #close(sessions: Map<number, number>, machine: number, site: number): void {
    const left = (sessions.get(site) as number) - 1;
    if (left > 0) sessions.set(site, left);
    else {
      sessions.delete(site);
      this.#turn(machine, site, -1);
    }
  }

  #turn(machine: number, site: number, by: 1 | -1): void {
    this.readers[site] = (this.readers[site] as number) + by;
    if (by === 1) this.#options.onWatch?.(machine, site);
    else this.#options.onUnwatch?.(machine, site);
  }

  #tell(machine: number): void {
    const told = new Set(this.#sessions[machine]?.keys());
    for (const site of this.#told[machine] ?? []) this.#tellers[site] = (this.#tellers[site] as number) - 1;
    for (const site of told) this.#tellers[site] = (this.#tellers[site] as number) + 1;
    this.#told[machine] = told;
    this.#options.onTold?.(told.size);
    this.#calendar.after(ALIVE_MS, () => this.#tell(machine));
  }
}
