/** The tables of docs/scaling.md, as the model has them. */
import { type Constants, GROUPS } from './capacity-constants.ts';
import {
  type Assumptions,
  bottlenecks,
  type Capacity,
  capacity,
  FLUSH_S,
  frameRate,
  HARDWARE,
  largestSite,
  machineCpu,
  QUIET_FLUSH_S,
  type Resource,
  redisNeeds,
  SAMPLE_RATE,
  SITE_LIMITS,
  type SiteLimit,
  TYPICAL,
  WORST,
  workerCosts,
} from './capacity-model.ts';

export const SIZES = [10_000, 100_000, 1_000_000, 10_000_000];
const BEGIN = '<!-- by `npm run bench -- scaling`, from here -->';
const END = '<!-- to here -->';
const CORE = 1_000_000;
const DAY_S = 86_400;
/** Of one cluster, copies included (redis.io/docs/reference/cluster-spec, "Redis Cluster goals"). */
const MAX_NODES = 1000;

/** A document with other text between the marks. */
export function withText(document: string, text: string): string {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  if (from < 0 || to < from) throw new Error(`docs/scaling.md needs the lines ${BEGIN} and ${END}`);
  return `${document.slice(0, from)}${BEGIN}\n\n${text}\n${document.slice(to)}`;
}

export function capacityText(c: Constants): string {
  return [
    '### Assumptions',
    assumptions(),
    '### Typical',
    sizes(TYPICAL, c),
    '### Everybody moves, everything is watched',
    sizes(WORST, c),
    '### The calculation, typical',
    arithmetic(c),
    '### The largest site',
    largest(c),
    '### Input figures',
    figures(),
  ]
    .map((part) => `${part}\n`)
    .join('\n');
}

/** `texts`: how many columns, from the left, are not numbers. */
function table(head: readonly string[], rows: readonly (readonly string[])[], texts = 1): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i < texts ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function assumptions(): string {
  const row = (what: string, of: (a: Assumptions) => string) => [what, of(TYPICAL), of(WORST)];
  return table(
    ['', 'typical', 'worst'],
    [
      row('visitors of a site on average; the nth largest site has 1/n of the largest', (a) =>
        plain(a.visitorsPerSite),
      ),
      row('share of the time in which a pointer moves, at 60 samples a second', (a) => percent(a.activity)),
      row('length of one motion on average, s', (a) => (a.activity === 1 ? 'endless' : plain(a.motionS))),
      row('a visitor stays for, s', (a) => plain(a.stayS)),
      row('administrators at the same time', (a) =>
        a.alwaysOn === undefined ? `one per ${1 / a.administratorsPerSite} sites` : `on ${a.alwaysOn} servers per site`,
      ),
      row('they choose a site in proportion to', (a) =>
        a.alwaysOn === undefined ? 'the square root of its visitors' : '–',
      ),
      row('they watch for, s', (a) => (a.alwaysOn === undefined ? plain(a.viewS) : 'always')),
      row('share of visitors on the page that they watch', (a) => percent(a.stage)),
      row('streams of the largest site on each server that shows it', (a) => plain(a.streams)),
      row('length of the record in Redis, hours', (a) => plain((24 * a.keptS) / DAY_S)),
    ],
  );
}

const HEAD = [
  'visitors',
  'of these watched',
  'samples/s',
  'cores at 50 % use',
  'machines of 16 cores',
  'memory per machine, GB',
  'network per machine, MB/s',
  'shards for CPU',
  'these store, hours',
  'shards for network',
  'shards for one day of memory',
  'runs out first',
  'then',
];

function sizes(a: Assumptions, c: Constants): string {
  return table(
    HEAD,
    SIZES.map((visitors) => sizeRow(capacity(visitors, a, HARDWARE, c), c)),
  );
}

function sizeRow(one: Capacity, c: Constants): string[] {
  const { visitors, load, cpu, machines, network, shards, keptS } = one;
  const [first, second] = bottlenecks(one) as [Resource, Resource];
  return [
    plain(visitors),
    percent(load.watchedVisitors / visitors),
    about(load.samples),
    about(cpu / CORE / HARDWARE.use),
    plain(machines),
    about((visitors / machines) * (c.visitorBytes / 1e9)),
    about(network / machines / 1e6),
    plain(shards.cpu),
    about(keptS / 3600),
    plain(shards.network),
    plain(shards.memory),
    needText(one, first),
    needText(one, second),
  ];
}

/** A resource, and how much is asked of what one machine or shard has. */
function needText({ needs }: Capacity, resource: Resource): string {
  const need = needs[resource];
  return need > 1 ? `${resource} × ${about(need)}` : `(${resource} ${about(100 * need)} %)`;
}

function arithmetic(c: Constants): string {
  const { frame, sample, shown } = workerCosts(c);
  const quiet = frameRate(TYPICAL, QUIET_FLUSH_S);
  const watched = frameRate(TYPICAL, FLUSH_S);
  const lead =
    `A visitor makes ${about(TYPICAL.activity * SAMPLE_RATE)} samples a second on average: ${about(quiet)} ` +
    'frames a second while nobody watches its site, ' +
    `${about(watched)} while somebody does. A worker spends ${about(frame)} µs on a frame, ${about(sample)} on ` +
    `a sample, ${about(shown)} more on a shown one, ` +
    `${about(c.visitUs)} on each arrival and departure. ` +
    `A machine has ${HARDWARE.cores} cores, a machine and a shard ${about(HARDWARE.network / 1e6)} MB/s each way, ` +
    `of which ${percent(HARDWARE.use)} are used; a shard has one core, ${about(HARDWARE.memory / 1e9)} GB and ` +
    'one replica.';
  return [lead, ...SIZES.map((visitors) => sizeText(capacity(visitors, TYPICAL, HARDWARE, c), c))].join('\n\n');
}

function sizeText(one: Capacity, c: Constants): string {
  const { load } = one;
  const costs = workerCosts(c);
  const isShared = one.machines > 1;
  const parts = [
    `frames ${product(load.frames, costs.frame)}`,
    `samples ${product(load.samples, costs.sample)}`,
    `shown ${product(load.shown, costs.shown)}`,
    `visits ${product(load.visits, c.visitUs)}`,
    ...(isShared
      ? [
          `appends ${product(load.appends, c.appendUs)}`,
          `samples read from other servers ${product(load.shownElsewhere, c.readSampleUs)}`,
          `entries written and read ${product(load.liveEntries + load.reads, c.entryUs)}`,
        ]
      : []),
  ];
  const busy = machineCpu(load, isShared, c) / CORE;
  return [
    `**${plain(one.visitors)} visitors.** CPU per second: ${parts.join(' + ')} = ${about(busy)} s. ` +
      `At ${percent(HARDWARE.use)} that is ${about(busy / HARDWARE.use)} cores. ${machinesText(one, c)}`,
    `${isShared ? 'Redis' : 'Redis is not needed. With Redis'}: ${redisText(one, c)}`,
    `The largest site has ${about(one.largest.visitors)} visitors: ${siteText(one)}.`,
    ...clusterText(one),
  ].join('\n');
}

function machinesText({ visitors, machines, needs }: Capacity, c: Constants): string {
  if (machines === 1) return 'One machine is enough.';
  const each = plain(HARDWARE.cores * c.connections);
  const why =
    needs['machine connections'] > Math.max(needs['machine CPU'], needs['machine network'])
      ? `${plain(visitors)} connections, at most ${each} per machine, need more: `
      : '';
  return `${why}${plain(machines)} machines.`;
}

/** What is beyond one cluster. */
function clusterText({ shards, keptS }: Capacity): string[] {
  const most = MAX_NODES / (1 + HARDWARE.replicas);
  if (shards.memory <= most) return [];
  const hours = about(((keptS / 3600) * most) / shards.cpu);
  return [
    `One day of the record needs more than the ${plain(MAX_NODES)} nodes that Redis Cluster is made for; ` +
      `${plain(most)} shards and their replicas store ${hours} hours.`,
  ];
}

function redisText({ load, redis }: Capacity, c: Constants): string {
  const cpu = [
    `appends ${product(load.appends, c.redisAppendUs)}`,
    `frames ${product(load.frames, c.redisFrameUs)}`,
    `samples ${product(load.samples, c.redisSampleUs)}`,
    `visits ${product(load.visits, c.redisVisitUs)}`,
    `bytes written ${product(redis.in, c.redisByteUs)}`,
    ...(load.reads > 0
      ? [
          `live entries ${product(load.liveEntries, c.redisLiveUs)}`,
          `read ${product(load.reads, c.redisReadUs)}`,
          `their bytes ${product(load.readBytes, c.redisReadByteUs)}`,
        ]
      : []),
  ];
  return (
    `CPU ${cpu.join(' + ')} = ${about(redis.cpu / CORE)} s per second; ${about(redis.in / 1e6)} MB/s in, ${about(redis.out / 1e6)} out; ` +
    `memory (${about(load.samples)} × ${about(c.keptSampleBytes)} + ${about(load.visits)} × ${about(c.keptVisitBytes)}) bytes × ${plain(TYPICAL.keptS)} s = ${about(redis.memory / 1e9)} GB.`
  );
}

function product(count: number, us: number): string {
  return `${about(count)} × ${about(us)} µs`;
}

function siteText({ largest: { redis, primary } }: Capacity): string {
  const needs = redisNeeds(redis, HARDWARE);
  return (
    `${about(100 * needs['Redis CPU'])} % of the CPU of a shard, ${about(100 * needs['Redis network'])} % of ` +
    'its network, ' +
    `${about(100 * needs['Redis memory'])} % of its memory; ${about((100 * primary) / CORE / HARDWARE.use)} % ` +
    'of a primary that shows it'
  );
}

const LIMIT_TEXT: Record<SiteLimit, string> = {
  'Redis CPU': 'CPU of a shard',
  'Redis network': 'network of a shard',
  'Redis memory': 'memory of a shard, for one day',
  'primary of the largest site': 'primary that shows it',
};

function largest(c: Constants): string {
  const row = (what: string, watched: boolean, a: Assumptions) => {
    const most = largestSite(watched, a, HARDWARE, c);
    return [what, ...SITE_LIMITS.map((limit) => (Number.isFinite(most[limit]) ? about(most[limit]) : '–'))];
  };
  return table(
    ['maximum visitors of one site, limited by', ...SITE_LIMITS.map((limit) => LIMIT_TEXT[limit])],
    [
      row('typical, not watched', false, TYPICAL),
      row('typical, watched on two servers', true, TYPICAL),
      row('all pointers move, not watched', false, WORST),
      row('all pointers move, watched on two servers, all moves shown', true, WORST),
    ],
  );
}

function figures(): string {
  const rows = Object.entries(GROUPS).flatMap(([group, all]) =>
    Object.values(all).map(({ what, value, unit, kind, source }) => [
      group,
      what,
      kind,
      source,
      `${value.toLocaleString('en', { maximumFractionDigits: 4 })} ${unit}`.trim(),
    ]),
  );
  return table(['part', 'figure', 'kind', 'source', 'value'], rows, 4);
}

function plain(value: number): string {
  return value.toLocaleString('en');
}

/** To three digits, and no more. */
function about(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

function percent(share: number): string {
  return `${about(100 * share)} %`;
}
