/**
 * `npm run bench [-- NAME …] [-- --long]`: runs the benches named, or all, and prints a table of each. All of them
 * together are also written to bench/RESULTS.md.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { cap } from './cap.ts';
import { capacity } from './capacity.ts';
import { copies } from './copies.ts';
import { dashboards } from './dashboards.ts';
import { delivery } from './delivery.ts';
import { binary, json, type Length } from './engine.ts';
import { erase } from './erase.ts';
import { markdown, type Table } from './figures.ts';
import { flips } from './flips.ts';
import { frozen } from './frozen.ts';
import { hits } from './hits.ts';
import { http } from './http.ts';
import { idle } from './idle.ts';
import { machines } from './machines.ts';
import { pace } from './pace.ts';
import { redis } from './redis.ts';
import { redisFar } from './redis-far.ts';
import { scaling } from './scaling.ts';
import { smoothness } from './smoothness.ts';
import { stall } from './stall.ts';
import { store } from './store.ts';
import { upgrade } from './upgrade.ts';
import { callOf } from './usage.ts';

const BENCHES: Record<string, (length: Length) => Promise<Table>> = {
  delivery,
  json,
  binary,
  capacity,
  pace,
  stall,
  frozen,
  dashboards,
  flips,
  idle,
  upgrade,
  http,
  hits,
  smoothness,
  store,
  erase,
  cap,
  copies,
  redis,
  'redis-far': redisFar,
  machines,
  scaling,
};

const SHORT: Length = { runs: 3, seconds: 6 };
const LONG: Length = { runs: 5, seconds: 15 };

const { words: names, values } = callOf({
  name: 'bench',
  does: 'Measures Fieldmouse beside baselines in the same run, and prints a table of each bench. All of them together are also written to bench/RESULTS.md.',
  takes:
    'All take about 45 minutes, one a minute or so, and cap more than ten (FIELDMOUSE_CAP_FROM_MB, FIELDMOUSE_CAP_TO_MB, FIELDMOUSE_CAPS_MB and FIELDMOUSE_CAP_SECONDS set other sizes and times); with --long several times as long. Nothing else should run on the machine meanwhile. Some start a redis-server of their own.',
  words: { called: 'bench', known: Object.keys(BENCHES) },
  options: {
    long: { text: `${LONG.runs} runs of ${LONG.seconds} s each in place of ${SHORT.runs} of ${SHORT.seconds} s` },
  },
});
const length = 'long' in values ? LONG : SHORT;
execFileSync(process.execPath, ['build.mjs'], { stdio: 'inherit' });

const head = [
  '# What was measured',
  '',
  `${new Date().toISOString().slice(0, 10)} · ${cpus()[0]?.model ?? 'unknown CPU'} · ${availableParallelism()} CPUs · ` +
    `${Math.round(totalmem() / 2 ** 30)} GiB · Node ${process.version} · ${length.runs} runs of ${length.seconds} s each, in turn`,
  '',
  'The load runs on the same machine. Cost is CPU of the whole process tree, from /proc; figures are the median with the minimum and the ' +
    'maximum of the runs. Ratios compare runs beside each other; absolute figures hold for this machine at that hour.',
  '',
].join('\n');
const parts: string[] = [head];
console.log(head);
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  const text = markdown(await (BENCHES[name] as (length: Length) => Promise<Table>)(length));
  parts.push(text);
  console.log(text);
}
if (names.length === 0) writeFileSync(fileURLToPath(new URL('./RESULTS.md', import.meta.url)), parts.join('\n'));
