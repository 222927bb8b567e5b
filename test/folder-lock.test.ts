/** One server per data folder, whatever its path and however close in time the servers start. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { linkSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askLockHolder, FolderInUse, lockFolder } from '../src/server/folder-lock.ts';
import { forkModule } from './support/fork-module.ts';
import { spawnMain, startServer, temporaryFolder } from './support/server.ts';

const ROUNDS = 60;

function locker(t: TestContext): ChildProcess {
  const child = forkModule('lock-process');
  t.after(() => child.disconnect());
  return child;
}

async function tell(child: ChildProcess, folder: string | null): Promise<string> {
  child.send(folder as string);
  return ((await once(child, 'message')) as [string])[0];
}

/** Leaves the socket of a server that was killed. */
async function leaveStale(folder: string, name: string): Promise<void> {
  const [alive, left] = [join(folder, 'alive'), join(folder, name)];
  const server = createServer().listen(alive);
  await once(server, 'listening');
  linkSync(alive, left);
  server.close();
  await once(server, 'close');
}

test('of servers that start at the same moment on stale sockets exactly one locks the folder', async (t) => {
  const lockers = [locker(t), locker(t), locker(t)];
  for (let round = 0; round < ROUNDS; round++) {
    const folder = temporaryFolder(t);
    await leaveStale(folder, 'server.sock');
    await leaveStale(folder, 'server-0123456789ab.sock');
    const answers = await Promise.all(lockers.map((child) => tell(child, folder)));
    assert.deepEqual(answers.sort(), ['data-in-use', 'data-in-use', 'held'], `round ${round}`);
    assert.equal(readdirSync(folder).length, 1, 'the stale sockets are gone');
    await Promise.all(lockers.map((child) => tell(child, null)));
    assert.deepEqual(readdirSync(folder), []);
  }
});

test('a folder with a long path is locked too, and its server can be queried', async (t) => {
  const folder = join(temporaryFolder(t), 'k'.repeat(200), 'é'.repeat(60));
  mkdirSync(folder, { recursive: true });
  const told: string[] = [];
  const unlock = await lockFolder(folder, { reload: async (tell) => tell('one of one') });
  await assert.rejects(lockFolder(folder), FolderInUse);
  await askLockHolder(folder, 'reload', (line) => told.push(line));
  assert.deepEqual(told, ['one of one']);
  unlock();
  assert.deepEqual(readdirSync(folder), []);
  (await lockFolder(folder))();
});

test('a suspended server still holds the lock on its folder', async (t) => {
  const folder = temporaryFolder(t);
  const child = locker(t);
  assert.equal(await tell(child, folder), 'held');
  child.kill('SIGSTOP');
  t.after(() => child.kill('SIGCONT'));
  await assert.rejects(lockFolder(folder), FolderInUse);
});

test('where no socket can be created the error gives the reason', async (t) => {
  const folder = join(temporaryFolder(t), 'file');
  writeFileSync(folder, '');
  const reasons: string[] = [];
  await lockFolder(folder, undefined, (reason) => reasons.push(reason));
  assert.match(reasons.join(), /no socket can be created in the data folder \(\w+\)/);
});

test('a socket on which a server listens for visitors does not lock a folder, whatever its name', async (t) => {
  const data = temporaryFolder(t);
  const listen = `unix:${join(data, 'server.sock')}`;
  // Of another data folder.
  const other = spawnMain(['--listen', listen, '--workers', '1', '--data', temporaryFolder(t)]);
  t.after(() => other.kill('SIGKILL'));
  await untilSaid(other, 'listens on');
  const told: string[] = [];
  await assert.rejects(
    askLockHolder(data, 'reload', () => {}),
    /no server is running in/,
  );
  const unlock = await lockFolder(data, { reload: async (tell) => tell('one of one') });
  await askLockHolder(data, 'reload', (line) => told.push(line));
  assert.deepEqual(told, ['one of one']);
  await assert.rejects(lockFolder(data), FolderInUse);
  unlock();
});

async function untilSaid({ stdout }: ChildProcess, words: string): Promise<void> {
  let said = '';
  for await (const chunk of stdout as NodeJS.ReadableStream) {
    said += chunk;
    if (said.includes(words)) return;
  }
  assert.fail(`it ended, and said ${said}`);
}

test('a second server on a folder with a long path reports the lock and exits', async (t) => {
  const data = join(temporaryFolder(t), 'k'.repeat(120));
  await startServer(t, { data, workers: 1 });
  const second = spawnMain(['--listen', 'tcp://127.0.0.1:0', '--data', data, '--workers', '1']);
  let text = '';
  second.stderr?.on('data', (chunk) => (text += chunk));
  const [code] = await once(second, 'close');
  assert.equal(code, 1);
  assert.match(text, /another server uses the data folder/);
});
