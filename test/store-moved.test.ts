/** A store's file that is not where it was: no process makes a second store in its place. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../src/store/embedded/store.ts';
import { run } from './support/command.ts';
import { startRedis } from './support/redis.ts';
import { startServer, type TestServer, temporaryFolder } from './support/server.ts';

/** Resolves when the server has printed it. */
async function printed(server: TestServer, pattern: RegExp): Promise<void> {
  while (!pattern.test(server.output())) await sleep(20);
}

async function reasons(server: TestServer): Promise<string[]> {
  return (await (await server.api('/healthz')).json()).reasons;
}

function killOneWorker(server: TestServer): void {
  process.kill(server.workerPids()[0] as number, 'SIGKILL');
}

test('a worker that is started after the file was moved away makes no second store, and goes on when it is back', async (t) => {
  const server = await startServer(t);
  const [path, aside] = [join(server.data, 'store.mdb'), join(server.data, 'aside.mdb')];
  renameSync(path, aside);
  killOneWorker(server);
  await printed(server, /there is no store\.mdb in \S+; if it was moved away, move it back/);
  assert.equal(existsSync(path), false);
  assert.deepEqual(await reasons(server), ['store-lost']);
  renameSync(aside, path);
  while ((await reasons(server)).length > 0) await sleep(50);
  assert.equal(server.workerPids().length, 2);
  assert.equal(await server.stop(), 0);
});

test('a worker refuses another store that was put in the place of its own', async (t) => {
  const server = await startServer(t);
  const other = temporaryFolder(t);
  await (await openStore(other)).close();
  renameSync(join(other, 'store.mdb'), join(server.data, 'store.mdb'));
  killOneWorker(server);
  await printed(server, /the store in the data folder is another one/);
  assert.deepEqual(await reasons(server), ['store-lost']);
});

const REMAINS: Record<string, (data: string) => void> = {
  'store.mdb.before-restore-20261120T141500Z': (data) =>
    writeFileSync(join(data, 'store.mdb.before-restore-20261120T141500Z'), 'x'),
  'restore.part': (data) => mkdirSync(join(data, 'restore.part')),
};

for (const [name, leave] of Object.entries(REMAINS))
  test(`a start where a restore left ${name} and no store says what to do, and makes none`, async (t) => {
    const data = temporaryFolder(t);
    leave(data);
    const { code, err } = await run('start', '--listen', 'tcp://127.0.0.1:0', '--data', data);
    assert.equal(code, 1);
    assert.match(
      err,
      new RegExp(`^fieldmouse: there is no store\\.mdb in \\S+, but a restore left ${name}: [^\\n]+\\n$`),
    );
    assert.equal(existsSync(join(data, 'store.mdb')), false);
  });

const FILE = { after: after as TestContext['after'] };

test('commands on an empty Redis say that there is no store, and make none', async (t: TestContext) => {
  const { url } = await startRedis(FILE);
  const data = temporaryFolder(t);
  for (const words of [['site', 'list'], ['admin', 'add', 'anna'], ['export'], ['verify'], ['hits', 'list']]) {
    const { code, err } = await run(...words, '--redis', url, '--data', data);
    assert.equal(code, 1, words.join(' '));
    assert.match(err, /^fieldmouse: there is no store in Redis at [^\n]+\n$/);
  }
  assert.deepEqual(readdirSync(data), []);
});
