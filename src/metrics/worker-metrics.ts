/** Metrics of one worker. */
import { Histogram, type Registry } from 'prom-client';
import { metersOf, processMetrics } from './process-metrics.ts';

/** Totals since the worker started, except where "now" is said. */
export interface WorkerFigures {
  /** Visitors' connections now. */
  connections: number;
  /** Frames and samples passed to the store, and frames that it could not accept. */
  frames: number;
  samples: number;
  unstored: number;
  acks: number;
  /** By reason. */
  closes: ReadonlyMap<string, number>;
  refusals: ReadonlyMap<string, number>;
  /** TCP connections that were closed at once, by reason. */
  dropped: ReadonlyMap<string, number>;
  /** Messages to the primary that the operating system has not accepted, and events that wait to be sent, now. */
  inFlight: number;
  queued: number;
  /** The longest wait of a message for the operating system since the last reading, milliseconds. */
  ipcDelayMs: number;
  /** Responses about the record that left out damaged data. */
  incomplete: number;
  /** Batches that waited because the primary did not keep up. */
  held: number;
}

/** Bounds of the buckets, seconds. */
const COMMIT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** How long commits take, seconds; part of the metrics once they are made. */
export function commitTimes(): Histogram {
  return new Histogram({
    name: 'fieldmouse_store_commit_seconds',
    help: 'Time until a group of frames is on disk',
    buckets: COMMIT_BUCKETS,
    registers: [],
  });
}

/** A worker's metrics. `read` is called for the figures at each request. */
export function workerMetrics(read: () => WorkerFigures, commits: Histogram): Registry {
  const registry = processMetrics('worker');
  const { gauge, count } = metersOf(registry, read);
  gauge('connections', 'Visitor connections', ({ connections }) => connections);
  count('frames_total', 'Frames handed to the store', ({ frames }) => frames);
  count('samples_total', 'Samples in these frames', ({ samples }) => samples);
  count('acks_total', 'Acks sent to visitors; one ack can cover many frames', ({ acks }) => acks);
  count('unstored_frames_total', 'Frames that could not be stored; visitors still have them', (f) => f.unstored);
  count('closes_total', 'Visitor connections closed by the server', ({ closes }) => closes);
  count('refusals_total', 'Visitor connections that were refused', ({ refusals }) => refusals);
  count('dropped_connections_total', 'TCP connections closed at once because there were too many', (f) => f.dropped);
  count('incomplete_reads_total', 'Responses about the record that left out damaged data', (f) => f.incomplete);
  gauge('ipc_in_flight', 'Messages on their way from workers to the primary', ({ inFlight }) => inFlight);
  gauge('ipc_queued', 'Events waiting in workers to be sent to the primary', ({ queued }) => queued);
  const worst = 'Longest wait of a message to the primary since the last read';
  gauge('ipc_delay_seconds', worst, ({ ipcDelayMs }) => ipcDelayMs / 1000, 'max');
  count('ipc_held_total', 'Batches that waited because the primary did not keep up', ({ held }) => held);
  registry.registerMetric(commits);
  return registry;
}
