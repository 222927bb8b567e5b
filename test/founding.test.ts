/** Creation of the store file, and store files that are empty. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { run, runHere } from './support/command.ts';
import { spawnMain, startServer, temporaryFolder } from './support/server.ts';

const START = ['start', '--listen', 'tcp://127.0.0.1:0', '--workers', '1', '--data'];

test('start and commands reject a store file of 0 bytes in one line that says what to do', async (t) => {
  const data = join(temporaryFolder(t), 'data');
  const store = await openLmdbStore(data);
  const backup = join(temporaryFolder(t), 'backup.mdb');
  assert.equal((await runHere(['backup', backup, '--data', data])).code, 0);
  await store.close();
  const path = join(data, 'store.mdb');
  writeFileSync(path, '');
  const line =
    `fieldmouse: ${path} is empty, as a power failure or a full disk can leave it; ` +
    `restore a backup: fieldmouse restore BACKUP --data ${data}, or delete it to start with a new store\n`;
  assert.deepEqual(await run(...START, data), { code: 1, out: '', err: line });
  const commands = [['site', 'list'], ['export'], ['verify'], ['backup', `${backup}2`], ['erase', 'x', '--yes']];
  for (const words of commands) {
    const { code, err } = await run(...words, '--data', data);
    assert.deepEqual([code, err], [1, line], words.join(' '));
  }
  assert.equal(statSync(path).size, 0);
  assert.equal((await run('restore', backup, '--data', data)).code, 0);
  assert.equal((await runHere(['site', 'list', '--data', data])).code, 0);
});

/** Ends the process, as a power cut would, when a file is to get its name. */
const KILL = `
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
const { renameSync } = fs;
fs.renameSync = (from, to) => {
  if (String(to).endsWith('store.mdb')) process.kill(process.pid, 'SIGKILL');
  renameSync(from, to);
};
syncBuiltinESMExports();
`;

test('a start killed while it creates the store leaves no store file, and the next start succeeds', async (t) => {
  const preload = join(temporaryFolder(t), 'kill.mjs');
  writeFileSync(preload, KILL);
  const data = join(temporaryFolder(t), 'data');
  const child = spawnMain([...START, data], { NODE_OPTIONS: `--import ${pathToFileURL(preload).href}` });
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGKILL');
  assert.equal(existsSync(join(data, 'store.mdb')), false);
  assert.ok(existsSync(join(data, 'store.mdb.new')));
  const server = await startServer(t, { data, workers: 1 });
  assert.match(server.output(), /First start with this store/);
  assert.equal(await server.stop(), 0);
  assert.deepEqual(
    readdirSync(data).filter((name) => name.startsWith('store.mdb') && !name.endsWith('-lock')),
    ['store.mdb'],
  );
  assert.equal(statSync(join(data, 'store.mdb')).mode & 0o777, 0o600);
});

test('leftovers of a killed first start are removed by the next start, and by a restore', async (t) => {
  const data = join(temporaryFolder(t), 'data');
  const server = await startServer(t, { data, workers: 1 });
  assert.equal(await server.stop(), 0);
  const left = join(data, 'store.mdb.new');
  const leave = () => {
    mkdirSync(left);
    writeFileSync(join(left, 'whole'), 'some bytes');
  };
  const backup = join(data, '..', 'backup.mdb');
  assert.equal((await run('backup', backup, '--data', data)).code, 0);
  leave();
  assert.equal((await run('restore', backup, '--data', data)).code, 0);
  assert.equal(existsSync(left), false);
  leave();
  const again = await startServer(t, { data, workers: 1 });
  assert.equal(existsSync(left), false);
  assert.equal(await again.stop(), 0);
});
