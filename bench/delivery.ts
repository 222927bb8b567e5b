/**
 * Are all moves delivered? 500 `json` visitors at 60 moves per second each, one stream at `moves=full`:
 * counts what was sent, delivered, missing and duplicated, how late, and what it cost.
 */
import type { Length } from './engine.ts';
import type { Table } from './figures.ts';
import { measure } from './measure.ts';

export async function delivery({ seconds }: Length): Promise<Table> {
  const o = await measure({
    system: 'fieldmouse',
    speak: 'json',
    visitors: 500,
    rate: 60,
    samples: 1,
    queries: ['moves=full'],
    seconds,
  });
  const missing = o.samples - o.delivered;
  const rows = {
    'moves offered per second': (o.samples / seconds).toFixed(0),
    sent: String(o.samples),
    delivered: String(o.delivered),
    missing: String(missing),
    duplicated: String(o.doubled),
    'stream events per second': (o.events / seconds).toFixed(0),
    'moves per stream event': (o.delivered / o.events).toFixed(0),
    'latency p50 / p99 / max, ms': [o.p50, o.p99, o.max].join(' / '),
    'CPU of all processes per move, µs': o.perSample.toFixed(2),
    'share of a core: primary, workers, %': o.shares.map((one) => one.toFixed(0)).join(', '),
    'share of a core: load generator, stream reader, %': `${o.visitorsShare.toFixed(0)}, ${o.streamsShare.toFixed(0)}`,
    'longest delay of the load generator, ms': o.lateMs.toFixed(0),
    'visitors closed by the server': String(o.closed),
    'resident memory: primary, workers, MB': o.rssMb.map((mb) => mb.toFixed(0)).join(', '),
  };
  return {
    title: 'Delivery',
    text: '500 `json` visitors at 60 moves a second, one stream at `moves=full`.',
    head: ['', ''],
    rows: Object.entries(rows),
    targets: [
      {
        what: 'every move delivered once',
        wanted: '0 missing, 0 duplicated',
        got: `${missing} missing, ${o.doubled} duplicated`,
        met: missing === 0 && o.doubled === 0,
      },
    ],
  };
}
