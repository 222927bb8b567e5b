/** PM2 itself, in its own home folder, with our ecosystem file. */
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { presentNodes } from '../src/broker/present-nodes.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { assertExact, crowd, settle, Traffic, until } from './support/exact.ts';
import { freePort } from './support/free-port.ts';
import { LIMIT_MS } from './support/limit.ts';
import { startRedis } from './support/redis.ts';
import { allChildrenOf, childrenOf } from './support/server.ts';
import { JsonVisitor } from './support/visitor.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const PM2 = join(root, 'node_modules/pm2/bin/pm2');
const run = promisify(execFile);
/** Programs that are not ours may wait for ever. */
const LIMITED = { timeout: LIMIT_MS, killSignal: 'SIGKILL' } as const;

interface Listed {
  pid: number;
  monit: { memory: number; cpu: number };
  pm2_env: {
    status: string;
    exec_mode: string;
    restart_time: number;
    exit_code: number;
    axm_monitor: Record<string, { value: number | string }>;
  };
}

interface Pm2 {
  home: string;
  data: string;
  url: string;
  /** Runs a command of PM2's; resolves with what it prints. */
  pm2(...args: string[]): Promise<string>;
  /** What it knows of us. */
  listed(): Promise<Listed>;
  env: NodeJS.ProcessEnv;
}

/** PM2 without an app yet. It is killed after the test. */
async function preparePm2(t: TestContext, more: Record<string, string> = {}): Promise<Pm2> {
  // PM2's own folder holds Unix sockets, whose paths must be short.
  const home = mkdtempSync(join(tmpdir(), 'pm2-'));
  const port = await freePort();
  const data = join(home, 'data');
  const env = {
    ...process.env,
    PM2_HOME: home,
    PORT: String(port),
    FIELDMOUSE_DATA: data,
    FIELDMOUSE_WORKERS: '1',
    ...more,
  };
  const pm2 = async (...args: string[]) =>
    (await run(process.execPath, [PM2, ...args], { cwd: root, env, ...LIMITED })).stdout;
  t.after(async () => {
    // Its client has been seen to wait for ever; then its daemon is ended without it.
    await pm2('kill').catch(() => killDaemon(home));
    rmSync(home, { recursive: true, force: true });
  });
  const listed = async () => (JSON.parse(await pm2('jlist')) as [Listed])[0];
  return { home, data, url: `http://127.0.0.1:${port}`, pm2, listed, env };
}

/** Ends PM2's daemon and what it has started. */
function killDaemon(home: string): void {
  const pid = Number(readFileSync(join(home, 'pm2.pid'), 'utf8'));
  for (const child of [...childrenOf(pid), pid]) process.kill(child, 'SIGKILL');
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (
      (await fetch(`${url}/readyz`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(LIMIT_MS) }))
        .status === 200
    );
  } catch {
    return false;
  }
}

/** Asks all the time whether it is ready. `stop` resolves with the longest time in which it was not, milliseconds. */
function watch(url: string): { stop(): Promise<number> } {
  let isOver = false;
  const gap = (async () => {
    let [ready, longest] = [performance.now(), 0];
    while (!isOver) {
      if (await isReady(url)) {
        longest = Math.max(longest, performance.now() - ready);
        ready = performance.now();
      }
      await sleep(50);
    }
    return longest;
  })();
  return {
    stop: () => {
      isOver = true;
      return gap;
    },
  };
}

test('PM2 starts the server, waits until it is ready, has its workers replaced, reloads, restarts and stops it with a drain', async (t) => {
  const { pm2, listed, url, data } = await preparePm2(t, { FIELDMOUSE_WORKERS: '2' });
  await pm2('start', 'ecosystem.config.cjs');
  // `pm2 start` came back, so it was ready: no waiting here.
  assert.ok(await isReady(url));
  const begun = await listed();
  const workers = childrenOf(begun.pid);
  await pm2('sendSignal', 'SIGHUP', 'fieldmouse');
  const areNew = (pids: number[]) => pids.length === 2 && pids.every((pid) => !workers.includes(pid));
  await until(() => areNew(childrenOf(begun.pid)), 'new workers');
  const visitor = new JsonVisitor(t, url.replace('http', 'ws'));
  assert.match((await visitor.hello).visitor, /^[\w-]{22}$/);
  const closed = new Promise<number>((resolve) => visitor.socket.once('close', resolve));
  const { status, exec_mode, restart_time } = (await listed()).pm2_env;
  assert.deepEqual([status, exec_mode, restart_time], ['online', 'fork_mode', 0]);

  // Reload and restart interrupt the server for a moment, and lose no acked data.
  const visitors = crowd(t, 30, () => url.replace('http', 'ws'));
  const traffic = new Traffic(visitors, 200, 6);
  t.after(() => traffic.stop());
  for (const [i, command] of ['reload', 'restart'].entries()) {
    const before = visitors.map(({ acked }) => acked);
    await until(() => visitors.every(({ acked }, no) => acked > (before[no] as number)), 'acks');
    const watched = watch(url);
    await pm2(command, 'fieldmouse');
    assert.ok(await isReady(url), 'it is ready when the command comes back');
    t.diagnostic(`pm2 ${command}: /readyz did not answer for ${Math.round(await watched.stop())} ms`);
    const { status, restart_time, exit_code } = (await listed()).pm2_env;
    assert.deepEqual([status, restart_time, exit_code], ['online', i + 1, 0]);
  }
  assert.equal(await closed, 1001);
  traffic.stop();
  await settle(visitors);
  assert.ok(visitors.every(({ closes }) => closes.includes(1001)));
  const last = new JsonVisitor(t, url.replace('http', 'ws'));
  await last.hello;
  const drained = new Promise<number>((resolve) => last.socket.once('close', resolve));
  await pm2('stop', 'fieldmouse');
  assert.equal(await drained, 1001);
  assert.equal((await listed()).pm2_env.exit_code, 0);
  await assertExact(t, data, visitors);
});

test('with the address of Redis in the environment the server is one of several nodes', async (t) => {
  const redis = await startRedis(t);
  const { pm2, listed } = await preparePm2(t, { FIELDMOUSE_REDIS: redis.url });
  await pm2('start', 'ecosystem.config.cjs');
  const target = readTarget(redis.url) as RedisTarget;
  await until(async () => (await presentNodes(target)) === 1, 'machine');
  await pm2('stop', 'fieldmouse');
  assert.deepEqual([(await listed()).pm2_env.exit_code, await presentNodes(target)], [0, 0]);
});

test('pm2 logs, describe, jlist and monit show the server, and save and resurrect bring it back, as after a boot', async (t) => {
  const { pm2, listed, home, env, url } = await preparePm2(t);
  await pm2('start', 'ecosystem.config.cjs');
  const logs = await pm2('logs', 'fieldmouse', '--nostream', '--lines', '100');
  assert.match(logs, /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: listens on tcp:/);
  assert.match(logs, /\/admin\/link\/[\w-]{43}/);
  assert.match(readFileSync(join(home, 'logs/fieldmouse-out.log'), 'utf8'), /^\d{4}-\d\d-\d\dT.*: Fieldmouse /m);
  const visitor = new JsonVisitor(t, url.replace('http', 'ws'));
  await visitor.hello;
  const shown = async () => Number((await listed()).pm2_env.axm_monitor['Visitors now']?.value) === 1;
  await until(shown, 'visitor in the list');
  assert.ok((await listed()).monit.memory > 2 ** 20);
  const described = await pm2('describe', 'fieldmouse');
  for (const text of ['online', 'fork_mode', 'dist/main.js', 'Visitors now', 'Event loop delay'])
    assert.ok(described.includes(text), text);
  await seenOnScreen(`"${process.execPath}" "${PM2}" monit`, env, 'fieldmouse');

  const { pid } = await listed();
  await pm2('save');
  await pm2('kill');
  assert.equal(await isReady(url), false);
  await pm2('resurrect');
  await until(() => isReady(url), 'answer');
  const again = await listed();
  assert.equal(again.pm2_env.status, 'online');
  assert.notEqual(again.pid, pid);
});

/**
 * Waits until a program that runs on a terminal shows this text, and ends it.
 *
 * The program takes the place of the shell: one in a process group of its own (as `timeout` makes, where the shell
 * is not the one that ran it) is stopped as soon as it sets the terminal up.
 */
async function seenOnScreen(command: string, env: NodeJS.ProcessEnv, text: string): Promise<void> {
  const args = ['-qec', `stty rows 40 cols 120; exec ${command}`, '/dev/null'];
  const terminal = spawn('script', args, {
    env: { ...env, TERM: 'xterm', SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'inherit'],
    ...LIMITED,
  });
  const ended = once(terminal, 'close');
  let shown = '';
  for await (const part of terminal.stdout.setEncoding('utf8')) {
    shown += part;
    if (shown.includes(text)) break;
  }
  // By SIGKILL, since such a program may take other signals for a wish.
  for (const pid of allChildrenOf(terminal.pid as number)) process.kill(pid, 'SIGKILL');
  terminal.stdin.destroy();
  await ended;
  assert.ok(shown.includes(text), shown);
}

/** Nobody, of Debian and others. */
const NOBODY = 65_534;

test('pm2 startup prints the command for root, and its user', (t) => {
  const home = mkdtempSync(join(tmpdir(), 'pm2-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  // As root it would write a unit of this machine's.
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  if (isRoot) chownSync(home, NOBODY, NOBODY);
  const look = `require('node:fs').accessSync(${JSON.stringify(PM2)})`;
  if (spawnSync(process.execPath, ['-e', look], user).status !== 0) return t.skip('not to be read by other users here');
  const { stdout } = spawnSync(process.execPath, [PM2, 'startup', 'systemd', '-u', 'ada', '--hp', '/home/ada'], {
    env: { PATH: process.env.PATH, PM2_HOME: home, HOME: home },
    encoding: 'utf8',
    ...LIMITED,
    ...user,
  });
  assert.match(stdout, new RegExp(`sudo env PATH=.* startup systemd -u ada --hp ${home}$`, 'm'));
});

test('the timeouts of PM2 are longer than our own', () => {
  const { apps } = createRequire(import.meta.url)('../ecosystem.config.cjs') as { apps: Record<string, number>[] };
  const [app] = apps as [Record<string, unknown>];
  const limit = (file: string, name: string) =>
    Number(
      new RegExp(`const ${name} = ([\\d_]+);`).exec(readFileSync(join(root, file), 'utf8'))?.[1]?.replace('_', ''),
    );
  assert.ok((app.listen_timeout as number) > limit('src/cluster/supervisor.ts', 'START_LIMIT_MS'));
  assert.ok((app.kill_timeout as number) > limit('src/main.ts', 'STOP_LIMIT_MS'));
  assert.deepEqual([app.wait_ready, app.treekill, app.instances], [true, false, 1]);
});

test('PM2 in cluster mode is rejected in one line, and nothing listens', async (t) => {
  const { pm2, url, home } = await preparePm2(t);
  await pm2('start', join(root, 'dist/main.js'), '-i', '2', '--name', 'mouse', '--no-autorestart');
  const log = () => readdirSync(join(home, 'logs')).filter((name) => name.includes('mouse-error'));
  const text = () => log().map((name) => readFileSync(join(home, 'logs', name), 'utf8'));
  await until(() => text().join('').split('\n').length > 2, 'the refusals');
  for (const line of text().join('').trim().split('\n'))
    assert.match(
      line,
      /^fieldmouse: another program is running Fieldmouse as its cluster worker, .*ecosystem\.config\.cjs/,
    );
  await assert.rejects(fetch(url));
  const all = JSON.parse(await pm2('jlist')) as Listed[];
  assert.deepEqual(
    all.map(({ pm2_env }) => [pm2_env.status, pm2_env.exit_code]),
    [
      ['stopped', 2],
      ['stopped', 2],
    ],
  );
});

test('the ecosystem file works from any folder, and --watch ignores files that the server writes', async (t) => {
  const { home, env, url } = await preparePm2(t);
  const app = mkdtempSync(join(tmpdir(), 'fieldmouse-'));
  t.after(() => rmSync(app, { recursive: true, force: true }));
  cpSync(join(root, 'ecosystem.config.cjs'), join(app, 'ecosystem.config.cjs'));
  for (const name of ['dist', 'package.json', 'node_modules']) symlinkSync(join(root, name), join(app, name));
  const { FIELDMOUSE_DATA, ...rest } = env;
  const elsewhere = { cwd: home, env: rest, ...LIMITED };
  const pm2 = (...args: string[]) => run(process.execPath, [PM2, ...args], elsewhere);
  await pm2('start', join(app, 'ecosystem.config.cjs'), '--watch');
  assert.ok(await isReady(url));
  assert.ok(existsSync(join(app, 'data/store.mdb')), 'the data folder is beside the file');
  await run(process.execPath, [join(app, 'dist/main.js'), 'admin', 'add', 'ada', '--data', join(app, 'data')]);
  writeFileSync(join(app, 'data/changed'), '');
  const log = () => readFileSync(join(home, 'pm2.log'), 'utf8');
  await until(() => {
    // The watcher takes a while to begin.
    writeFileSync(join(app, 'another-build'), String(performance.now()));
    return /Change detected on path/.test(log());
  }, 'word of the change that counts');
  for (const [, path] of log().matchAll(/Change detected on path (\S+)/g)) assert.equal(path, 'another-build');
});
