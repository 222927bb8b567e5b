import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { JsonVisitor } from './support/visitor.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('PM2 starts it, waits until it is ready, and stops it with a drain', async (t) => {
  // PM2's own folder holds Unix sockets, whose paths must be short.
  const home = mkdtempSync(join(tmpdir(), 'pm2-'));
  const port = await freePort();
  const env = {
    ...process.env,
    PM2_HOME: home,
    PORT: String(port),
    FIELDMOUSE_DATA: join(home, 'data'),
    FIELDMOUSE_WORKERS: '2',
  };
  const pm2 = async (...args: string[]) =>
    (await run(process.execPath, [join(root, 'node_modules/pm2/bin/pm2'), ...args], { cwd: root, env })).stdout;
  t.after(async () => {
    await pm2('kill');
    rmSync(home, { recursive: true, force: true });
  });
  await pm2('start', 'ecosystem.config.cjs');
  // `pm2 start` came back, so it was ready: no waiting here.
  assert.equal((await fetch(`http://127.0.0.1:${port}/readyz`)).status, 200);
  const visitor = new JsonVisitor(t, `ws://127.0.0.1:${port}`);
  assert.match((await visitor.hello).visitor, /^[\w-]{22}$/);
  const closed = new Promise<number>((resolve) => visitor.socket.once('close', resolve));
  const [described] = JSON.parse(await pm2('jlist')) as [
    { pm2_env: { status: string; exec_mode: string; restart_time: number } },
  ];
  assert.deepEqual(
    [described.pm2_env.status, described.pm2_env.exec_mode, described.pm2_env.restart_time],
    ['online', 'fork_mode', 0],
  );
  await pm2('stop', 'fieldmouse');
  assert.equal(await closed, 1001);
  const [stopped] = JSON.parse(await pm2('jlist')) as [{ pm2_env: { exit_code: number } }];
  assert.equal(stopped.pm2_env.exit_code, 0);
});
