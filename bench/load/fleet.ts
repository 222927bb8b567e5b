/**
 * A simulated fleet: visitors one by one on machines and workers, administrators who watch, and what passes through
 * Redis. The same seed gives the same simulation. bench/scaling.ts compares it with the model, which only has means.
 */
import type { Constants } from '../capacity-constants.ts';
import {
  type Assumptions,
  FLUSH_S,
  GROUP_S,
  MAX_ROWS,
  QUIET_FLUSH_S,
  SAMPLE_RATE,
  SHARDS_OF_SITE,
  TICK_S,
  VISIT_EVENTS,
} from '../capacity-model.ts';
import { Calendar } from './calendar.ts';
import { Chance, sumsOf } from './chance.ts';
import { Ledger } from './ledger.ts';
import { sessionsFrom, Watchers } from './watchers.ts';
import { Watching } from './watching.ts';

const SECOND_MS = 1000;
/** Visitors arrive during this time before the count starts, seconds. */
const ARRIVE_S = 5;
/** How often the watchers of each site are counted, milliseconds. */
const LOOK_MS = 100;

export interface FleetOptions {
  seed: number;
  machines: number;
  /** Of each machine. */
  workers: number;
  visitors: number;
  /** How visitors are spread over sites. */
  shares: readonly number[];
  people: Assumptions;
  constants: Constants;
  /** Administrators come and go during this time before the count starts, seconds. */
  warmUpS: number;
  /** Duration of the count, seconds. */
  seconds: number;
  /** Told at every second played. */
  onSecond(second: number): void;
}

interface Visitor {
  site: number;
  machine: number;
  worker: number;
  shard: number;
  isOnStage: boolean;
  isGone: boolean;
  isMoving: boolean;
  hasTimer: boolean;
  /** Since when it has moved, and how much of that is not sent, ms. */
  movedAt: number;
  unsentMs: number;
  /** The second of its machine in which it did something last. */
  activeIn: number;
}

export class Fleet {
  readonly ledger: Ledger;
  /** How each site was watched. */
  readonly watching: Watching;
  readonly #options: FleetOptions;
  readonly #calendar: Calendar;
  readonly #chance: Chance;
  readonly #watchers: Watchers;
  readonly #sums: readonly number[];
  readonly #onMachine: Int32Array;
  /** Number of each worker's group, when it ends, and the group in which a batch was written last. */
  readonly #groups: { no: number; endsAt: number }[];
  readonly #batches: Int32Array;
  /** The tick of the last entry, and visitors active in the second, by machine and site. */
  readonly #ticks: Int32Array;
  readonly #rows: Int32Array;

  constructor(options: FleetOptions) {
    const { seed, machines, workers, shares, people, warmUpS, seconds } = options;
    const sites = shares.length;
    this.#options = options;
    this.#calendar = new Calendar(SECOND_MS * (warmUpS + seconds));
    this.#chance = new Chance(seed);
    this.ledger = new Ledger(machines, sites);
    this.#sums = sumsOf(shares);
    this.#onMachine = new Int32Array(machines);
    this.#groups = Array.from({ length: machines * workers }, () => ({ no: 0, endsAt: 0 }));
    this.#batches = new Int32Array(machines * workers * sites * SHARDS_OF_SITE);
    this.#ticks = new Int32Array(machines * sites);
    this.#rows = new Int32Array(machines * sites);
    const { ledger } = this;
    const onWatch = (machine: number, site: number) => ledger.watch(machine, site);
    const onUnwatch = (machine: number, site: number) => ledger.unwatch(machine, site);
    this.#watchers = new Watchers(
      { machines, ...sessionsFrom(shares, people), onWatch, onUnwatch },
      this.#calendar,
      this.#chance,
    );
    this.watching = new Watching(machines, sites);
  }

  /** Plays all of it. */
  play(): void {
    const { warmUpS, seconds, onSecond } = this.#options;
    this.#calendar.playTo(SECOND_MS * (warmUpS - ARRIVE_S));
    this.#begin();
    this.#calendar.playTo(SECOND_MS * warmUpS);
    this.ledger.open();
    this.#look();
    for (let second = 1; second <= seconds; second++) {
      this.#calendar.playTo(SECOND_MS * (warmUpS + second));
      onSecond(second);
    }
    this.ledger.close();
  }

  #begin(): void {
    const { visitors, machines, people } = this.#options;
    for (let i = 0; i < visitors; i++) this.#arrive();
    this.#comeEvery((SECOND_MS * people.stayS) / visitors);
    for (let machine = 0; machine < machines; machine++)
      this.#calendar.after(this.#chance.below(SECOND_MS), () => this.#onSecond(machine));
  }

  #look(): void {
    this.watching.look(this.#watchers);
    this.#calendar.after(LOOK_MS, () => this.#look());
  }

  #comeEvery(ms: number): void {
    this.#calendar.after(this.#chance.wait(ms), () => {
      const visitor = this.#arrive();
      if (this.ledger.isOpen) this.ledger.visits += 1;
      this.#event(visitor);
      this.#comeEvery(ms);
    });
  }

  /** A visitor is given to the machine with the fewest, and there to any worker. */
  #arrive(): Visitor {
    const { machines, workers, people } = this.#options;
    const chance = this.#chance;
    let machine = 0;
    for (let i = 1; i < machines; i++)
      if ((this.#onMachine[i] as number) < (this.#onMachine[machine] as number)) machine = i;
    this.#onMachine[machine] = (this.#onMachine[machine] as number) + 1;
    const visitor: Visitor = {
      site: chance.among(this.#sums),
      machine,
      worker: machine * workers + chance.below(workers),
      shard: chance.below(SHARDS_OF_SITE),
      isOnStage: chance.of(people.stage),
      isGone: false,
      isMoving: false,
      hasTimer: false,
      movedAt: 0,
      unsentMs: 0,
      activeIn: -1,
    };
    this.#stay(visitor);
    return visitor;
  }

  #stay(visitor: Visitor): void {
    const { stayS, activity, motionS } = this.#options.people;
    const stayMs = this.#chance.wait(SECOND_MS * stayS);
    this.#calendar.after(stayMs, () => this.#leave(visitor));
    this.#doThings(visitor, (SECOND_MS * stayS) / (VISIT_EVENTS - 2));
    if (this.#chance.of(activity)) this.#move(visitor);
    else this.#calendar.after(this.#chance.wait(restMs(activity, motionS)), () => this.#move(visitor));
  }

  #leave(visitor: Visitor): void {
    visitor.isGone = true;
    this.#onMachine[visitor.machine] = (this.#onMachine[visitor.machine] as number) - 1;
    if (this.ledger.isOpen) this.ledger.leaves += 1;
    this.#event(visitor);
  }

  /** Pages and clicks. */
  #doThings(visitor: Visitor, everyMs: number): void {
    this.#calendar.after(this.#chance.wait(everyMs), () => {
      if (visitor.isGone) return;
      this.#event(visitor);
      this.#doThings(visitor, everyMs);
    });
  }

  #move(visitor: Visitor): void {
    if (visitor.isGone) return;
    const { activity, motionS } = this.#options.people;
    visitor.isMoving = true;
    visitor.movedAt = this.#calendar.now;
    this.#wake(visitor);
    if (activity === 1) return;
    this.#calendar.after(this.#chance.wait(SECOND_MS * motionS), () => {
      this.#gather(visitor);
      visitor.isMoving = false;
      this.#calendar.after(this.#chance.wait(restMs(activity, motionS)), () => this.#move(visitor));
    });
  }

  /** Schedules a frame as the visitor script does: one flush interval after there is something to send. */
  #wake(visitor: Visitor): void {
    if (visitor.hasTimer) return;
    visitor.hasTimer = true;
    const isWatched = this.#watchers.isWatched(visitor.machine, visitor.site);
    this.#calendar.after(SECOND_MS * (isWatched ? FLUSH_S : QUIET_FLUSH_S), () => this.#flush(visitor));
  }

  #gather(visitor: Visitor): void {
    if (!visitor.isMoving) return;
    visitor.unsentMs += this.#calendar.now - visitor.movedAt;
    visitor.movedAt = this.#calendar.now;
  }

  #flush(visitor: Visitor): void {
    visitor.hasTimer = false;
    if (visitor.isGone) return;
    this.#gather(visitor);
    if (visitor.unsentMs > 0) this.#frame(visitor, (visitor.unsentMs * SAMPLE_RATE) / SECOND_MS);
    visitor.unsentMs = 0;
    if (visitor.isMoving) this.#wake(visitor);
  }

  #frame(visitor: Visitor, samples: number): void {
    const { constants: c } = this.#options;
    const bytes = c.recordFrameBytes + samples * c.recordSampleBytes;
    this.ledger.record(visitor.site, bytes, samples, this.#isNewBatch(visitor));
    this.#markActive(visitor);
    if (visitor.isOnStage) this.#publish(visitor, c.shownFrameBytes + samples * c.shownSampleBytes);
  }

  /** A group begins with its first frame. */
  #isNewBatch({ worker, site, shard }: Visitor): boolean {
    const group = this.#groups[worker] as { no: number; endsAt: number };
    const { now } = this.#calendar;
    if (now >= group.endsAt) {
      group.no += 1;
      group.endsAt = now + SECOND_MS * GROUP_S;
    }
    const batch = (worker * this.#options.shares.length + site) * SHARDS_OF_SITE + shard;
    if (this.#batches[batch] === group.no) return false;
    this.#batches[batch] = group.no;
    return true;
  }

  #markActive(visitor: Visitor): void {
    const second = Math.floor(this.#calendar.now / SECOND_MS);
    if (visitor.activeIn === second) return;
    visitor.activeIn = second;
    const at = this.#at(visitor.machine, visitor.site);
    this.#rows[at] = (this.#rows[at] as number) + 1;
  }

  #event(visitor: Visitor): void {
    this.#publish(visitor, this.#options.constants.visitEventBytes / VISIT_EVENTS);
  }

  /** Into this tick's entry of the visitor's machine, which begins with the first that is in it. */
  #publish({ machine, site }: Pick<Visitor, 'machine' | 'site'>, bytes: number): void {
    if (!this.#watchers.isWatchedElsewhere(machine, site)) return;
    const at = this.#at(machine, site);
    const tick = Math.floor(this.#calendar.now / (SECOND_MS * TICK_S));
    const isNew = this.#ticks[at] !== tick;
    this.#ticks[at] = tick;
    this.ledger.publish(site, bytes + (isNew ? this.#options.constants.entryBytes : 0), isNew);
  }

  /** A machine tells what its visitors did in the past second. */
  #onSecond(machine: number): void {
    for (let site = 0; site < this.#options.shares.length; site++) {
      const rows = this.#rows[this.#at(machine, site)] as number;
      this.#rows[this.#at(machine, site)] = 0;
      if (rows > 0) this.#publish({ machine, site }, Math.min(rows, MAX_ROWS) * this.#options.constants.rowBytes);
    }
    this.#calendar.after(SECOND_MS, () => this.#onSecond(machine));
  }

  #at(machine: number, site: number): number {
    return machine * this.#options.shares.length + site;
  }
}

function restMs(activity: number, motionS: number): number {
  return (SECOND_MS * motionS * (1 - activity)) / activity;
}
