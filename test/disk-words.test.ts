/** Each kind of system error is reported in one line. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { osErrorText } from '../src/lib/os-error.ts';
import { diskFault } from '../src/store/lmdb/disk-fault.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { type Ran, run } from './support/command.ts';
import { moves, record } from './support/record.ts';
import { MAIN, temporaryFolder } from './support/server.ts';

const T = Date.now() - 600_000;

async function filled(t: TestContext): Promise<string> {
  const data = temporaryFolder(t);
  const store = await openLmdbStore(data);
  for (let i = 0; i < 40; i++) {
    const places = Array.from({ length: 400 }, (_, k): [number, number] => [(k * 7919) % 1280, (k * i * 31) % 2000]);
    await record(store.archive, { id: `visit-${i}`, since: T + i, frames: [{ samples: moves(T + i, places) }] });
  }
  await store.archive.compactAll();
  await store.close();
  return data;
}

/** Runs a command that may write no file beyond so many bytes, as on a full disk. */
async function runLimited(bytes: number, ...args: string[]): Promise<Ran> {
  const child = spawn('prlimit', [`--fsize=${bytes}`, process.execPath, ...MAIN, ...args]);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: code as number, out, err };
}

test('backup, restore and export report a file size limit in one line, and leave no files', async (t) => {
  if (spawnSync('prlimit', ['--version']).status !== 0) return t.skip('there is no prlimit');
  const data = await filled(t);
  const out = temporaryFolder(t);
  const backup = join(temporaryFolder(t), 'whole.mdb');
  const good = await run('backup', backup, '--data', data);
  assert.equal(good.code, 0, good.err);
  const limit = 64 * 1024;
  assert.ok(statSync(backup).size > limit);
  const empty = temporaryFolder(t);
  for (const words of [
    ['backup', join(out, 'x.mdb'), '--data', data],
    ['export', '--out', join(out, 'x.ndjson'), '--data', data],
    ['restore', backup, '--data', empty],
  ]) {
    const { code, err } = await runLimited(limit, ...words);
    assert.equal(code, 1, `${words[0]}: ${err}`);
    assert.match(err, /^(fieldmouse: [^\n]+\n)+$/, words[0]);
    assert.match(err, /too large|full|no space/i, words[0]);
  }
  assert.deepEqual(readdirSync(out), []);
  assert.equal(existsSync(join(empty, 'store.mdb')), false);
});

test('a path that is not a folder, or is not accessible, is reported in one line', async (t) => {
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  for (const words of [
    ['start', '--listen', 'tcp://127.0.0.1:0', '--data', join(file, 'data')],
    ['export', '--out', join(file, 'x')],
  ]) {
    const { code, err } = await run(...words);
    assert.equal(code, 1, err);
    assert.match(err, /^fieldmouse: [^\n]+\n$/);
  }
});

test('system errors are reported with their path and what to do, and other errors are not system errors', () => {
  const error = (code: string | number, message: string, path?: string) =>
    Object.assign(new Error(message), { code, path });
  assert.equal(
    osErrorText(error('ENOSPC', 'ENOSPC: no space left on device, write', '/x')),
    '/x: no space left on device (ENOSPC); free some space there',
  );
  assert.equal(
    osErrorText(error(28, 'No space left on device')),
    'No space left on device (ENOSPC); free some space there',
  );
  assert.equal(
    osErrorText(error('EADDRINUSE', 'listen EADDRINUSE: address already in use 127.0.0.1:80')),
    'address already in use 127.0.0.1:80 (EADDRINUSE)',
  );
  assert.equal(osErrorText(error('ERR_INVALID_ARG_TYPE', 'x')), undefined);
  assert.equal(osErrorText(new TypeError('x')), undefined);
});

test('an input/output error is not reported as a full disk, unless the disk is full', () => {
  const eio = Object.assign(new Error('Input/output error'), { code: 5 });
  const full = () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  assert.equal(diskFault(eio, () => {})?.code, 'disk-error');
  assert.equal(diskFault(eio, full)?.code, 'full');
  assert.equal(
    diskFault(Object.assign(new Error('EROFS: read-only file system, open'), { code: 'EROFS' }), full)?.code,
    'disk-error',
  );
  assert.equal(diskFault(new Error('No space left on device'), () => {})?.code, 'full');
  assert.equal(diskFault(new TypeError('x'), full), undefined);
});
