/**
 * `npm run bench [-- NAME …] [-- --long]`: runs the benches named, or all, and prints a table of each. All of them
 * together are also written to bench/RESULTS.md.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Length } from './engine.ts';
import { MIN_ROUNDS, markdown, type Table } from './figures.ts';
import { callOf } from './usage.ts';

/** Each loads its modules when it runs: all of them together take two seconds. */
const BENCHES: Record<string, () => Promise<(length: Length) => Promise<Table>>> = {
  delivery: async () => (await import('./delivery.ts')).delivery,
  json: async () => (await import('./engine.ts')).json,
  binary: async () => (await import('./engine.ts')).binary,
  plain: async () => (await import('./engine.ts')).plain,
  capacity: async () => (await import('./capacity.ts')).capacity,
  pace: async () => (await import('./pace.ts')).pace,
  stall: async () => (await import('./stall.ts')).stall,
  frozen: async () => (await import('./frozen.ts')).frozen,
  dashboards: async () => (await import('./dashboards.ts')).dashboards,
  flips: async () => (await import('./flips.ts')).flips,
  idle: async () => (await import('./idle.ts')).idle,
  upgrade: async () => (await import('./upgrade.ts')).upgrade,
  http: async () => (await import('./http.ts')).http,
  hits: async () => (await import('./hits.ts')).hits,
  smoothness: async () => (await import('./smoothness.ts')).smoothness,
  tracker: async () => (await import('./tracker.ts')).tracker,
  store: async () => (await import('./store.ts')).store,
  queries: async () => (await import('./queries.ts')).queries,
  erase: async () => (await import('./erase.ts')).erase,
  cap: async () => (await import('./cap.ts')).cap,
  copies: async () => (await import('./copies.ts')).copies,
  redis: async () => (await import('./redis.ts')).redis,
  'redis-far': async () => (await import('./redis-far.ts')).redisFar,
  machines: async () => (await import('./machines.ts')).machines,
  scaling: async () => (await import('./scaling.ts')).scaling,
};

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RESULTS = fileURLToPath(new URL('./RESULTS.md', import.meta.url));
const SHORT: Length = { runs: 3, seconds: 6 };
const LONG: Length = { runs: 5, seconds: 15 };

const { words: names, values } = callOf({
  name: 'bench',
  does: 'Measures Fieldmouse beside baselines in the same run, and prints a table of each bench. All of them together are also written to bench/RESULTS.md.',
  takes:
    'All take about 90 minutes, one some minutes, and cap more than ten (FIELDMOUSE_CAP_FROM_MB, FIELDMOUSE_CAP_TO_MB, FIELDMOUSE_CAPS_MB and FIELDMOUSE_CAP_SECONDS set other sizes and times) and queries some ten (FIELDMOUSE_QUERIES_VISITS sets another number of visits); with --long several times as long. Nothing else should run on the machine meanwhile. Some start a redis-server of their own.',
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
    `${Math.round(totalmem() / 2 ** 30)} GiB · Node ${process.version} · commit ${commit()} · ` +
    `${length.runs} runs of ${length.seconds} s each, in turn; at least ${MIN_ROUNDS} where a ratio of costs is a goal`,
  '',
  'The load runs on the same machine. Cost is CPU of the whole process tree, from /proc; figures are the median with the minimum and the ' +
    'maximum of the runs. Ratios compare runs beside each other; absolute figures hold for this machine at that hour.',
  '',
].join('\n');
const parts: string[] = [head];
console.log(head);
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  const text = await textOf(name);
  parts.push(text);
  console.log(text);
}
if (names.length === 0) writeFileSync(RESULTS, parts.join('\n'));

/** Resolves with the table of a bench, or with why there is none: the others still run. */
async function textOf(name: string): Promise<string> {
  try {
    const bench = await (BENCHES[name] as (typeof BENCHES)[string])();
    return markdown(await bench(length));
  } catch (error) {
    process.exitCode = 1;
    console.error(error);
    return `## ${name}\n\nFailed: ${(error as Error).message}\n`;
  }
}

/** The commit that is measured, with a plus sign if other files than the results were changed since. */
function commit(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  try {
    const isChanged = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!bench/RESULTS.md') !== '';
    return git('rev-parse', '--short', 'HEAD') + (isChanged ? '+' : '');
  } catch {
    return 'unknown';
  }
}
