/** Commands that write to a file named by the user never overwrite a store. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { runHere } from './support/command.ts';
import { temporaryFolder } from './support/server.ts';

/** A data folder with a store in it, and another folder. */
async function places(t: TestContext): Promise<{ data: string; folder: string }> {
  const data = join(temporaryFolder(t), 'data');
  const store = await openLmdbStore(data);
  t.after(() => store.close());
  return { data, folder: temporaryFolder(t) };
}

test('export overwrites no file of the store, whatever its name', async (t) => {
  const { data, folder } = await places(t);
  writeFileSync(join(data, 'store.mdb.before-restore-20260101T000000Z'), 'kept');
  linkSync(join(data, 'store.mdb'), join(folder, 'hard'));
  symlinkSync(join(data, 'store.mdb'), join(folder, 'soft'));
  symlinkSync(data, join(folder, 'data'));
  const names = readdirSync(data);
  for (const name of ['store.mdb', 'store.mdb-lock', 'store.gate', 'store.gate-lock']) assert.ok(names.includes(name));
  const targets = [...names, 'restore.part', 'machine.json', 'store.mdb.new'].map((name) => join(data, name));
  for (const name of ['hard', 'soft', 'data/store.mdb']) targets.push(join(folder, name));
  const before = contentsOf(data);
  for (const target of targets)
    for (const format of ['ndjson', 'csv']) {
      const { code, err } = await runHere(['export', '--format', format, '--out', target, '--data', data]);
      assert.deepEqual([code, /belongs to the store and must not be overwritten/.test(err)], [1, true], target);
    }
  assert.deepEqual(contentsOf(data), before);
  const { code, err } = await runHere(['backup', join(data, 'store.mdb.new'), '--data', data]);
  assert.deepEqual([code, /belongs to the store/.test(err)], [1, true]);
});

/** Of the files that stay as they are while nobody writes. */
function contentsOf(data: string): string[] {
  const names = readdirSync(data).filter((name) => !name.endsWith('-lock') && !name.endsWith('.sock'));
  return names.sort().map((name) => `${name} ${readFileSync(join(data, name)).toString('base64')}`);
}

test('export overwrites no backup and no other store, but does overwrite an earlier export', async (t) => {
  const { data, folder } = await places(t);
  const other = join(temporaryFolder(t), 'data');
  await (await openLmdbStore(other)).close();
  const backup = join(folder, 'monday.mdb');
  assert.equal((await runHere(['backup', backup, '--data', data])).code, 0);
  const before = readFileSync(backup);
  const targets = [backup, join(other, 'store.mdb'), join(other, 'store.gate'), join(other, 'store.mdb-lock')];
  for (const target of targets) {
    const { code, err } = await runHere(['export', '--out', target, '--data', data]);
    assert.deepEqual([code, /a store or a backup|belongs to the store/.test(err)], [1, true], target);
  }
  assert.ok(readFileSync(backup).equals(before));
  for (const place of [folder, data]) {
    const path = join(place, 'record.ndjson');
    writeFileSync(path, 'a former one');
    writeFileSync(`${path}.part`, 'of somebody');
    assert.deepEqual(await runHere(['export', '--out', path, '--data', data]), { code: 0, out: '', err: '', data: '' });
    assert.match(readFileSync(path, 'utf8'), /^\{"fieldmouse"/);
    assert.equal(readFileSync(`${path}.part`, 'utf8'), 'of somebody');
  }
});

test('export replaces no pipe and no device', { skip: process.platform === 'win32' }, async (t) => {
  const { data, folder } = await places(t);
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  for (const target of [pipe, '/dev/null']) {
    const { code, err } = await runHere(['export', '--out', target, '--data', data]);
    assert.deepEqual([code, err], [1, `fieldmouse: ${target} is not a regular file; name another`]);
  }
  assert.ok(lstatSync(pipe).isFIFO());
});

test('backup removes no folder but its own', async (t) => {
  const { data, folder } = await places(t);
  const trial = join(folder, 'monday.mdb.trial');
  mkdirSync(trial);
  writeFileSync(join(trial, 'notes'), 'of somebody');
  const refused = await runHere(['backup', join(folder, 'monday.mdb'), '--data', data]);
  assert.deepEqual(
    [refused.code, refused.err],
    [1, `fieldmouse: ${trial} is in the way; move it away, or choose another name`],
  );
  assert.equal(readFileSync(join(trial, 'notes'), 'utf8'), 'of somebody');
});
