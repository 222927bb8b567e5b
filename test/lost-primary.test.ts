/** A primary that exits while its workers start. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { spawnMain, temporaryFolder } from './support/server.ts';

/** In a worker: when Node asks the primary for an address to listen on, the primary is killed first. */
const KILL_PRIMARY = `
import { isMainThread } from 'node:worker_threads';
const { ppid } = process;
if (isMainThread && process.env.FIELDMOUSE_SUPERVISOR === String(ppid)) {
  const send = process.send.bind(process);
  process.send = (message, ...more) => {
    if (message.act === 'queryServer' && process.ppid === ppid) {
      process.kill(ppid, 'SIGKILL');
      while (process.ppid === ppid);
    }
    return send(message, ...more);
  };
}
`;

test('a worker that can no longer query a killed primary exits silently', async (t) => {
  const folder = temporaryFolder(t);
  const preload = join(folder, 'kill-primary.mjs');
  writeFileSync(preload, KILL_PRIMARY);
  const addresses = ['--listen', 'tcp://127.0.0.1:0', '--listen', 'tcp://127.0.0.1:0'];
  const child = spawnMain(['start', ...addresses, '--workers', '1', '--data', join(folder, 'data')], {
    NODE_OPTIONS: `--import ${pathToFileURL(preload).href}`,
  });
  const exited = once(child, 'exit');
  // They end when the worker has ended, too.
  const said = await Promise.all([child.stdout, child.stderr].map((pipe) => text(pipe as NodeJS.ReadableStream)));
  assert.deepEqual(said, ['', '']);
  assert.deepEqual(await exited, [null, 'SIGKILL']);
});
