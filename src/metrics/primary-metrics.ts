/** Metrics of the primary, and of the server as a whole. */
import { Gauge, type Registry } from 'prom-client';
import { TROUBLES, type TroubleName } from '../protocol/ipc.ts';
import { metersOf, processMetrics } from './process-metrics.ts';

/** Totals since the server started, except where "now" is said. */
export interface PrimaryFigures {
  /** Now. */
  visitors: number;
  streams: number;
  workers: number;
  /** Why the server is degraded now; empty if it is not. */
  troubles: readonly TroubleName[];
  /** Bytes written to streams, moves skipped for slow readers, and evicted readers. */
  streamBytes: number;
  skipped: number;
  evictions: number;
  /** Restarts of streams, by reason. */
  resets: ReadonlyMap<string, number>;
  /** Replaced workers, by reason. */
  restarts: ReadonlyMap<string, number>;
  /** The exchange with other nodes. */
  broker: {
    /** Number of other nodes present now. */
    machines: number;
    entriesOut: number;
    entriesIn: number;
    bytesOut: number;
    bytesIn: number;
    gaps: number;
    overflows: number;
    lateMs: number;
  };
}

/** `read` is called at each request for metrics. */
export function primaryMetrics(version: string, read: () => PrimaryFigures): Registry {
  const registry = processMetrics('primary');
  const { gauge, count } = metersOf(registry, read);
  new Gauge({
    name: 'fieldmouse_info',
    help: 'Always 1; the label has the version',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
  gauge('visitors', 'Current visitors', ({ visitors }) => visitors);
  gauge('streams', "Administrators' open streams", ({ streams }) => streams);
  gauge('workers', 'Worker processes', ({ workers }) => workers);
  count('stream_bytes_total', 'Bytes written to streams', ({ streamBytes }) => streamBytes);
  count('stream_skipped_total', 'Messages of moves left out for slow readers', ({ skipped }) => skipped);
  count('stream_evictions_total', 'Streams evicted because their readers read nothing', ({ evictions }) => evictions);
  count('stream_resets_total', 'Streams that were reset', ({ resets }) => resets);
  count('worker_restarts_total', 'Workers started to replace others', ({ restarts }) => restarts);
  new Gauge({
    name: 'fieldmouse_degraded',
    help: '1 while the server is degraded for this reason, else 0',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      const { troubles } = read();
      for (const reason of TROUBLES) this.set({ reason }, troubles.includes(reason) ? 1 : 0);
    },
  });
  gauge('machines', 'Other servers heard through Redis', ({ broker }) => broker.machines);
  const late = 'How long nothing could be read from or written to other servers; 0 if all is well';
  gauge('machines_late_seconds', late, ({ broker }) => broker.lateMs / 1000);
  count('machines_entries_total', 'Entries exchanged with other servers', ({ broker }) =>
    byDirection(broker.entriesOut, broker.entriesIn),
  );
  count('machines_bytes_total', 'Bytes exchanged with other servers', ({ broker }) =>
    byDirection(broker.bytesOut, broker.bytesIn),
  );
  const faults = 'Number of full resyncs between servers';
  count(
    'machines_resyncs_total',
    faults,
    ({ broker: { gaps, overflows } }) =>
      new Map([
        ['gap', gaps],
        ['overflow', overflows],
      ]),
  );
  return registry;
}

function byDirection(outgoing: number, incoming: number): ReadonlyMap<string, number> {
  return new Map([
    ['out', outgoing],
    ['in', incoming],
  ]);
}
