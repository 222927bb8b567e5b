/**
 * The figures of the capacity model, each with its source. After a new measurement, replace the figure here, and run
 * `npm run bench -- scaling` to update the tables of docs/scaling.md.
 *
 * measured: a row of bench/RESULTS.md · computed: from the code or the sizes of headers · estimate: not measured by a
 * bench yet
 */

export interface Figure {
  value: number;
  unit: string;
  what: string;
  kind: 'measured' | 'computed' | 'estimate';
  source: string;
}

export type FigureName = keyof typeof FIGURES;
export type Constants = Readonly<Record<FigureName, number>>;

/** Machines without Redis: bench/RESULTS.md of 2026-11-30. */
const MACHINE = {
  watchedUs: {
    value: 3.09,
    unit: 'µs',
    what: 'CPU per sample, watched, six per frame',
    kind: 'measured',
    source: '“Fieldmouse, 1 administrator”',
  },
  unheardUs: {
    value: 2.79,
    unit: 'µs',
    what: 'the same, nobody watching',
    kind: 'measured',
    source: '“nobody watching, visitors do not slow down”',
  },
  quietUs: {
    value: 1.14,
    unit: 'µs',
    what: 'CPU per sample, nobody watching, sixty per frame',
    kind: 'measured',
    source: '“Fieldmouse, nobody watching”',
  },
  storingUs: {
    value: 3.76,
    unit: 'µs',
    what: 'CPU per sample, watched, including compaction',
    kind: 'measured',
    source: 'store, “storing: CPU µs per sample”',
  },
  visitUs: {
    value: 238,
    unit: 'µs',
    what: 'CPU per arrival and departure of a visitor',
    kind: 'measured',
    source: 'HTTP, “POST /v1/visit”',
  },
  visitorBytes: {
    value: 17_700,
    unit: 'bytes',
    what: 'memory per connected visitor',
    kind: 'measured',
    source: 'idle visitors',
  },
  connections: {
    value: 20_000,
    unit: '',
    what: 'visitors per worker',
    kind: 'computed',
    source: 'default of `--max-connections`',
  },
  subscriberSampleUs: {
    value: 0.0016,
    unit: 'µs',
    what: 'CPU of the primary per shown sample, for each further stream',
    kind: 'measured',
    source: '“50 administrators”: 2.6 % more for 49 more',
  },
} as const satisfies Record<string, Figure>;

/** Machines with Redis: bench/RESULTS.md, `npm run bench -- redis` and `-- machines`. */
const WITH_REDIS = {
  appendUs: {
    value: 32,
    unit: 'µs',
    what: 'CPU of a worker per append, on top of the embedded store',
    kind: 'measured',
    source: 'redis, “appending”: 5.2 µs more for each of 6.25 frames',
  },
  readSampleUs: {
    value: 1.56,
    unit: 'µs',
    what: 'CPU of both primaries per sample that one sends and the other shows',
    kind: 'measured',
    source: 'Machines, “CPU of the primaries”: 6.89 instead of 5.33',
  },
  entryUs: {
    value: 20,
    unit: 'µs',
    what: 'CPU of the primary per small live entry, written or read',
    kind: 'estimate',
    source: '20 XADD of 100 bytes at a time by node-redis 6',
  },
} as const satisfies Record<string, Figure>;

/**
 * Redis itself: the same source, with Redis 7.0 and every change on disk before it is answered. Estimates were made by
 * hand, with an append-only file.
 */
const REDIS = {
  redisAppendUs: {
    value: 15,
    unit: 'µs',
    what: 'CPU per append, without its bytes, on disk before the answer',
    kind: 'measured',
    source: 'redis, “CPU µs per frame of Redis, appending”: 2.37 for each of 6.25 frames',
  },
  redisByteUs: {
    value: 0.0024,
    unit: 'µs',
    what: 'CPU per byte written',
    kind: 'estimate',
    source: 'XADD of 90 to 16,000 bytes, by hand',
  },
  redisFrameUs: {
    value: 0,
    unit: 'µs',
    what: 'CPU per compacted frame, without its samples',
    kind: 'computed',
    source: 'counted with the samples',
  },
  redisSampleUs: {
    value: 0.5,
    unit: 'µs',
    what: 'CPU per compacted sample',
    kind: 'measured',
    source: 'redis, “CPU µs per frame of Redis, compacting”: 3.02 for six',
  },
  redisVisitUs: {
    value: 20,
    unit: 'µs',
    what: 'CPU per visit: its entry and its places in lists',
    kind: 'estimate',
    source: 'five writes',
  },
  redisLiveUs: {
    value: 135,
    unit: 'µs',
    what: 'CPU per live entry written',
    kind: 'measured',
    source: 'Machines, “CPU of Redis”: 0.33 µs per sample more, 480 samples an entry, less a reader and the bytes',
  },
  redisReadUs: {
    value: 9,
    unit: 'µs',
    what: 'CPU per live entry and server that reads it',
    kind: 'estimate',
    source: 'the same',
  },
  redisReadByteUs: {
    value: 0.0003,
    unit: 'µs',
    what: 'CPU per byte read',
    kind: 'estimate',
    source: 'the same with 500 and 8,000 bytes',
  },
  keptSampleBytes: {
    value: 4.59,
    unit: 'bytes',
    what: 'memory per stored sample',
    kind: 'measured',
    source: 'redis, “bytes per sample”',
  },
  keptVisitBytes: {
    value: 500,
    unit: 'bytes',
    what: 'memory per stored visit',
    kind: 'estimate',
    source: 'its entry and its places in lists',
  },
} as const satisfies Record<string, Figure>;

/** Sizes of what is written. test/capacity-model.test.ts compares the first four with what the code writes. */
const BYTES = {
  recordFrameBytes: {
    value: 61.6,
    unit: 'bytes',
    what: 'in the batches of the record, per frame',
    kind: 'computed',
    source: 'BatchWriter, one visit per batch',
  },
  recordSampleBytes: {
    value: 2.23,
    unit: 'bytes',
    what: 'the same, per sample',
    kind: 'computed',
    source: 'BatchWriter, wandering pointers',
  },
  shownFrameBytes: {
    value: 8,
    unit: 'bytes',
    what: 'on the stream, per frame',
    kind: 'computed',
    source: 'MovesText',
  },
  shownSampleBytes: { value: 12.8, unit: 'bytes', what: 'the same, per sample', kind: 'computed', source: 'MovesText' },
  filedSampleBytes: {
    value: 5.1,
    unit: 'bytes',
    what: 'written per sample at compaction',
    kind: 'measured',
    source: 'store, “bytes per sample: in use” of 10 M',
  },
  visitEventBytes: {
    value: 1500,
    unit: 'bytes',
    what: 'joins, pages, clicks and leaves of a visit, sent to other servers',
    kind: 'estimate',
    source: 'a join of 350, a leave of 110, six events of 170',
  },
  rowBytes: {
    value: 20,
    unit: 'bytes',
    what: 'one second of a visitor’s activity, sent to other servers',
    kind: 'estimate',
    source: 'number, position, samples',
  },
  entryBytes: {
    value: 60,
    unit: 'bytes',
    what: 'overhead of a live entry',
    kind: 'estimate',
    source: 'names of server and channel, numbers',
  },
  wireBytes: {
    value: 96,
    unit: 'bytes',
    what: 'network overhead of a visitor’s frame, and of an ack',
    kind: 'computed',
    source: 'Ethernet 38, IPv4 20, TCP 32, WebSocket 6; behind the proxy that ends TLS',
  },
  frameBytes: {
    value: 13,
    unit: 'bytes',
    what: 'a visitor’s frame, without its samples',
    kind: 'computed',
    source: 'docs/protocol.md, section 2: number, time, position',
  },
} as const satisfies Record<string, Figure>;

export const GROUPS = {
  'a server': MACHINE,
  'a server with Redis': WITH_REDIS,
  Redis: REDIS,
  'written bytes': BYTES,
};

export const FIGURES = { ...MACHINE, ...WITH_REDIS, ...REDIS, ...BYTES };

export const CONSTANTS = Object.fromEntries(
  Object.entries(FIGURES).map(([name, { value }]) => [name, value]),
) as unknown as Constants;
