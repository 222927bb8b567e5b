/**
 * Does the capacity model match a simulation of individual visitors? Compares seeded fleets of some thousand visitors
 * with the model, and checks how sites are distributed over Redis shards by the cluster's own function. Then writes the
 * tables of docs/scaling.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { slotOf } from '../src/redis/hash-slot.ts';
import { siteKey } from '../src/redis/keys.ts';
import { CONSTANTS } from './capacity-constants.ts';
import {
  type Assumptions,
  type Load,
  sessionsOf,
  siteLoad,
  TYPICAL,
  total,
  type Watch,
  watchOf,
  zipf,
} from './capacity-model.ts';
import { capacityText, withText } from './capacity-text.ts';
import type { Table, Target } from './figures.ts';
import { Calendar } from './load/calendar.ts';
import { Chance } from './load/chance.ts';
import { Fleet } from './load/fleet.ts';
import type { Ledger } from './load/ledger.ts';
import { shardOfSlot } from './load/shard-of-slot.ts';
import { ALIVE_MS, sessionsFrom, Watchers } from './load/watchers.ts';
import { Watching } from './load/watching.ts';

const DOCUMENT = new URL('../docs/scaling.md', import.meta.url);

interface Scene {
  seed: number;
  machines: number;
  workers: number;
  visitors: number;
  shares: number[];
  people: Assumptions;
}

const SITES = 300;
/** Stays and looks are shorter than people's, so that many begin and end in the time played. */
const PEOPLE: Assumptions = {
  ...TYPICAL,
  activity: 0.3,
  stayS: 60,
  administratorsPerSite: 0.1,
  viewS: 40,
};
const SCENES: Record<string, Scene> = {
  Zipf: { seed: 1, machines: 8, workers: 4, visitors: 12_000, shares: zipf(SITES), people: PEOPLE },
  'half on one site': {
    seed: 2,
    machines: 12,
    workers: 4,
    visitors: 12_000,
    shares: [0.5, ...zipf(SITES - 1).map((share) => share / 2)],
    people: { ...PEOPLE, administratorsPerSite: 0.02 },
  },
  'nobody watching': {
    seed: 3,
    machines: 8,
    workers: 4,
    visitors: 12_000,
    shares: zipf(SITES),
    people: { ...PEOPLE, administratorsPerSite: 0 },
  },
  'one node': { seed: 4, machines: 1, workers: 16, visitors: 6000, shares: zipf(SITES), people: PEOPLE },
};
/** Only administrators are simulated first, until as many come as leave; then visitors as well. */
const WARM_UP_S = 200;
const SECONDS = 60;
/** Administrators alone are simulated longer and repeatedly, because the set of watched sites changes slowly. */
const PLAYS = 20;
const PLAY_S = 1500;
const LOOK_MS = 2000;

/**
 * Maximum deviation of the simulation from the model: for what visitors do, for the traffic between machines, and for
 * watching administrators, of whom there are few.
 */
const NEAR = 0.03;
const BETWEEN = 0.05;
const WATCHED = 0.1;

/** Size of the message that a machine sends every two seconds: without sites, and for each site, bytes. */
const ALIVE_BYTES = 100;
const ALIVE_SITE_BYTES = 60;

interface Compared {
  what: string;
  played: number;
  model: number;
  /** Maximum deviation. 0: must be equal to the last byte. */
  within: number;
}

/** Simulates, compares, and writes the tables. A larger deviation than allowed makes the program fail. */
export async function scaling(): Promise<Table> {
  const compared = [...Object.entries(SCENES).flatMap(([name, scene]) => compareScene(name, scene)), ...spread()];
  writeFileSync(DOCUMENT, withText(readFileSync(DOCUMENT, 'utf8'), capacityText(CONSTANTS)));
  const missed = compared.map(target).filter(({ met }) => !met);
  if (missed.length > 0) process.exitCode = 1;
  return {
    title: 'scaling: the capacity model compared with a simulation',
    text:
      `Visitors and administrators are simulated one by one, with a seed, for ${SECONDS} s; nothing is measured. Rates are per second. ` +
      `The number of watchers is compared separately, over ${(PLAYS * PLAY_S).toLocaleString('en')} s. The traffic between nodes is compared for the simulated watchers.`,
    head: ['', 'played', 'model', 'difference', 'allowed'],
    rows: compared.map(row),
    targets: missed,
  };
}

function compareScene(name: string, scene: Scene): Compared[] {
  const fleet = new Fleet({
    ...scene,
    constants: CONSTANTS,
    warmUpS: WARM_UP_S,
    seconds: SECONDS,
    onSecond: (second) => {
      if (second % 20 === 0) process.stderr.write(`  ${name}: ${second} of ${SECONDS} s\n`);
    },
  });
  fleet.play();
  const all = [...compareFleet(scene, fleet), ...compareWatching(scene)];
  return all.map((one) => ({ ...one, what: `${name}: ${one.what}` }));
}

function compareFleet(scene: Scene, { ledger, watching }: Fleet): Compared[] {
  const load = total(loadsOf(scene, watching.means()));
  const each = (what: string, sum: number, model: number, within: number) => ({
    what,
    played: sum / SECONDS,
    model,
    within,
  });
  return [
    each('visits that start', ledger.visits, load.visits, NEAR),
    each('visits that end', ledger.leaves, load.visits, NEAR),
    each('frames', ledger.frames, load.frames, NEAR),
    each('samples', ledger.samples, load.samples, NEAR),
    each('appends', ledger.appends, load.appends, NEAR),
    each('bytes into the record', sumOf(ledger.recordBytes), load.recordBytes, NEAR),
    each('live entries written', ledger.liveEntries, load.liveEntries, BETWEEN),
    each('live entries read', sumOf(ledger.readEntries), load.reads, BETWEEN),
    each('live bytes written', sumOf(ledger.liveBytes), load.liveBytes, BETWEEN),
    each('live bytes read', sumOf(ledger.readBytes), load.readBytes, BETWEEN),
    ...identities(ledger),
  ];
}

function loadsOf({ machines, workers, visitors, shares, people }: Scene, watches: readonly Watch[]): Load[] {
  const fleet = { machines, workers: machines * workers };
  return shares.map((share, i) => siteLoad(visitors * share, watches[i] as Watch, fleet, people, CONSTANTS));
}

/** Administrators alone. A site counts by its visitors. */
function compareWatching({ seed, machines, shares, people }: Scene): Compared[] {
  const watching = new Watching(machines, shares.length);
  const told = { messages: 0, bytes: 0 };
  for (let play = 0; play < PLAYS; play++) playWatchers(100 * seed + play, machines, shares, people, watching, told);
  const played = watching.means();
  const sessions = sessionsOf(shares, people);
  const model = sessions.map((one) => watchOf(one, machines));
  const sum = (watches: readonly Watch[], of: keyof Watch) =>
    watches.reduce((all, watch, i) => all + (shares[i] as number) * watch[of], 0);
  const rate = machines * (1000 / ALIVE_MS);
  const watched = sumOf(sessions.map((one) => 1 - Math.exp(-one / machines)));
  const seconds = PLAYS * PLAY_S;
  return [
    ...(['watched', 'published', 'read'] as const).map((of) => ({
      what: WATCH_TEXT[of],
      played: sum(played, of),
      model: sum(model, of),
      within: WATCHED,
    })),
    { what: 'messages of interest', played: told.messages / seconds, model: rate, within: NEAR },
    {
      what: 'bytes of interest',
      played: told.bytes / seconds,
      model: rate * (ALIVE_BYTES + watched * ALIVE_SITE_BYTES),
      within: WATCHED,
    },
  ];
}

const WATCH_TEXT: Record<keyof Watch, string> = {
  watched: 'share of visitors whose site is watched',
  published: 'share of visitors whose moves are written for other nodes',
  read: 'mean number of nodes that read them',
};

function playWatchers(
  seed: number,
  machines: number,
  shares: readonly number[],
  people: Assumptions,
  watching: Watching,
  told: { messages: number; bytes: number },
): void {
  const calendar = new Calendar(1000 * (WARM_UP_S + PLAY_S));
  let isOpen = false;
  const onTold = (sites: number) => {
    if (!isOpen) return;
    told.messages += 1;
    told.bytes += ALIVE_BYTES + sites * ALIVE_SITE_BYTES;
  };
  const watchers = new Watchers({ machines, ...sessionsFrom(shares, people), onTold }, calendar, new Chance(seed));
  calendar.playTo(1000 * WARM_UP_S);
  isOpen = true;
  for (let ms = 0; ms < 1000 * PLAY_S; ms += LOOK_MS) {
    calendar.playTo(1000 * WARM_UP_S + ms);
    watching.look(watchers);
  }
  calendar.playTo(1000 * (WARM_UP_S + PLAY_S));
}

/** What holds for every fleet, and so to the last byte. */
function identities(ledger: Ledger): Compared[] {
  const idle = [...ledger.readBytes.keys()].filter((machine) => !ledger.watchers.has(machine));
  return [
    {
      what: 'live bytes read, and sum of bytes written × watching nodes',
      played: sumOf(ledger.readBytes),
      model: ledger.owed,
      within: 0,
    },
    {
      what: `live bytes read by nodes that watch nothing (${idle.length})`,
      played: idle.reduce((sum, machine) => sum + (ledger.readBytes[machine] as number), 0),
      model: 0,
      within: 0,
    },
  ];
}

function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

const SHARDS = 8;
const NAMINGS = 400;

/**
 * Sites with names of chance, on shards: how far shards differ, and that none is below what its largest site brings.
 */
function spread(): Compared[] {
  const shares = zipf(SITES);
  const chance = new Chance(5);
  const squares: number[] = [];
  let below = 0;
  for (let naming = 0; naming < NAMINGS; naming++) {
    const loads = shardLoads(shares, chance);
    if (Math.max(...loads) < Math.max(1 / SHARDS, shares[0] as number) - 1e-9) below += 1;
    for (const load of loads) squares.push((load - 1 / SHARDS) ** 2);
  }
  const sumOfSquares = shares.reduce((sum, share) => sum + share ** 2, 0);
  return [
    {
      what: `standard deviation of a shard’s share, ${SITES} sites on ${SHARDS} shards, %`,
      played: 100 * Math.sqrt(sumOf(squares) / squares.length),
      model: 100 * Math.sqrt((sumOfSquares * (SHARDS - 1)) / SHARDS ** 2),
      within: NEAR,
    },
    {
      what: `of ${NAMINGS} ways to name sites: the fullest shard below its share, or below its largest site`,
      played: below,
      model: 0,
      within: 0,
    },
  ];
}

function shardLoads(shares: readonly number[], chance: Chance): number[] {
  const loads = new Array(SHARDS).fill(0);
  for (const share of shares)
    loads[shardOfSlot(slotOf(siteKey(`site-${chance.below(2 ** 32)}`, 'record')), SHARDS)] += share;
  return loads;
}

function offBy({ played, model }: Compared): number {
  return model === 0 ? Math.abs(played) : Math.abs(played - model) / model;
}

/** Relative rounding error of sums of fractions of bytes. */
const EXACT = 1e-9;

function row(one: Compared): string[] {
  const { what, played, model, within } = one;
  const number = (value: number) => value.toLocaleString('en', { maximumSignificantDigits: 4 });
  return [
    what,
    number(played),
    number(model),
    `${(100 * offBy(one)).toFixed(1)} %`,
    within === 0 ? 'nothing' : `${100 * within} %`,
  ];
}

function target(one: Compared): Target {
  const [what = '', played = '', model = '', , within] = row(one);
  return { what, wanted: `${model} ± ${within}`, got: played, met: offBy(one) <= Math.max(one.within, EXACT) };
}
