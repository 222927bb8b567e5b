/** Visits from wrong clocks: in 1970, or ahead of the present by days or a century. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DAY_MS } from '../src/model/day.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { run, runHere } from './support/command.ts';
import { click, moves, record } from './support/record.ts';
import { startRedis } from './support/redis.ts';
import { temporaryFolder } from './support/server.ts';
import { batchOf, plainVisit } from './support/visits.ts';

const NOW = Date.now();
/** When the visits begin. */
const BEGINS = [0, 90_000, Date.UTC(1985, 3, 1), NOW, NOW + 3 * DAY_MS, NOW + 5 * DAY_MS, Date.UTC(2150, 0, 1)];

/** A data folder with a visit of each. */
async function filled(t: TestContext): Promise<string> {
  const data = join(temporaryFolder(t), 'data');
  const store = await openLmdbStore(data);
  const visits = BEGINS.map((since, i) => ({
    id: `visit-${i}`,
    since,
    frames: [{ entered: true, samples: [...moves(since, [[1, 2]]), click(since + 100, 3, 4)] }],
  }));
  await record(store.archive, ...visits);
  await store.close();
  return data;
}

/** An export but for its first line. */
async function exported(t: TestContext, ...where: string[]): Promise<string> {
  const file = join(temporaryFolder(t), 'out');
  const { code, err } = await runHere(['export', '--out', file, ...where]);
  assert.deepEqual([code, err], [0, '']);
  const text = readFileSync(file, 'utf8');
  return text.slice(text.indexOf('\n') + 1);
}

test('an export contains the visits of all clocks, as lines and as counts, and an import accepts them', async (t) => {
  const data = await filled(t);
  const all = await exported(t, '--data', data);
  for (const since of BEGINS) assert.ok(all.includes(`"since":${since},`), String(since));
  assert.ok(all.endsWith(`{"end":{"visits":${BEGINS.length},"runs":${BEGINS.length}}}\n`));
  const days = BEGINS.map((since) => new Date(since).toISOString().slice(0, 10));
  const counts = await exported(t, '--format', 'csv', '--data', data);
  for (const day of days) assert.ok(counts.includes(`demo,${day},/,`), `${day} in ${counts}`);

  const file = join(temporaryFolder(t), 'record.ndjson');
  writeFileSync(file, `{"fieldmouse":"0","format":1,"exported":""}\n${all}`);
  const fresh = join(temporaryFolder(t), 'data');
  await (await openLmdbStore(fresh)).close();
  const imported = await runHere(['import', file, '--data', fresh]);
  assert.deepEqual([imported.code, imported.err], [0, '']);
  assert.equal(await exported(t, '--data', fresh), all);
  assert.equal(await exported(t, '--format', 'csv', '--data', fresh), counts);
});

test('an export starts with the day of --from and ends with the day of --to, before 2000 too', async (t) => {
  const data = await filled(t);
  const sinces = async (...flags: string[]) =>
    [...(await exported(t, ...flags, '--data', data)).matchAll(/"since":(\d+)/g)].map(([, since]) => Number(since));
  assert.deepEqual(await sinces('--to', '1970-01-01'), BEGINS.slice(0, 2));
  assert.deepEqual(await sinces('--from', '1970-01-02', '--to', '1999-12-31'), BEGINS.slice(2, 3));
  assert.deepEqual(await sinces('--from', '2149-12-31'), BEGINS.slice(-1));
});

test('an import rejects runs that are years apart in one visit', async (t) => {
  const data = await filled(t);
  const run = (n: number, at: number) =>
    JSON.stringify({
      run: { n, frames: 1, page: '/', size: [1, 1, 1, 1], entered: false, t: at, samples: [[0, 1, 2]] },
    });
  const visit = (id: string, since: number) => {
    const about = { device: 'desktop', language: '', referrer: '', origin: '', country: '', label: '' };
    return JSON.stringify({ visit: { id, site: 'demo', since, ...about } });
  };
  const file = join(temporaryFolder(t), 'long.ndjson');
  const fault = async (...lines: string[]) => {
    writeFileSync(file, ['{"fieldmouse":"0","format":1}', ...lines].join('\n'));
    return (await runHere(['import', file, '--data', data])).err;
  };
  const apart = /line \d: t is not between 2 days before and 396 days after the start of the visit/;
  assert.match(await fault(visit('a', 0), run(1, NOW)), apart);
  assert.match(await fault(visit('b', NOW), run(1, NOW), run(2, 0)), apart);
  // The record has a visit of this id, of 1970.
  assert.match(await fault(visit('visit-0', NOW), run(9, NOW)), apart);
  assert.match(await fault(visit('c', NOW), run(1, NOW - DAY_MS)), /line 4: the export ends before its last line/);
});

test('visits of all clocks migrate to Redis and back', async (t) => {
  const redis = await startRedis(t);
  const data = await filled(t);
  const before = await exported(t, '--data', data);
  const there = await run('migrate', 'to-redis', '--data', data, '--redis', redis.url);
  assert.deepEqual([there.code, there.err], [0, '']);
  assert.match(there.out, new RegExp(`; ${BEGINS.length} visits with ${BEGINS.length} runs were copied this time`));
  assert.equal(await exported(t, '--data', data, '--redis', redis.url), before);
  const other = join(temporaryFolder(t), 'other');
  const back = await run('migrate', 'to-folder', '--data', other, '--redis', redis.url);
  assert.deepEqual([back.code, back.err], [0, '']);
  assert.equal(await exported(t, '--data', other), before);
});

test('frames committed before the clock was set back are compacted at once', async (t) => {
  const store = await openLmdbStore(temporaryFolder(t));
  t.after(() => store.close());
  const visit = plainVisit('demo');
  const clock = Date.now;
  const ahead = t.mock.method(Date, 'now', () => clock() + 3_600_000);
  await store.archive.append(visit.frames.map((frame) => batchOf([[visit, frame]])));
  ahead.mock.restore();
  assert.ok(store.archive.compactDue(Date.now()));
  assert.ok(!store.archive.compactDue(Date.now()), 'that was all');
});
