/** Two servers start at the same moment on the Unix socket of a dead server: one of them listens there. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { MAX_SOCKET_PATH } from '../src/config/config.ts';
import { listen, removeStaleSocket } from '../src/server/listen.ts';
import { temporaryFolder } from './support/server.ts';

const LISTENER = "require('node:net').createServer().listen(process.argv[1], () => console.log('listening'))";

/** A short path, and the longest that a socket may have. */
const NAMES: Record<string, (folder: string) => string> = {
  'a short path': () => 's',
  'the longest path': (folder) => 's'.repeat(MAX_SOCKET_PATH - Buffer.byteLength(folder) - 1),
};

for (const [title, nameIn] of Object.entries(NAMES))
  test(`of two servers that start on a stale socket with ${title} one listens, and its name stays`, async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, nameIn(folder));
    const child = spawn(process.execPath, ['-e', LISTENER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const servers: Server[] = [];
    const start = async () => {
      await removeStaleSocket({ kind: 'path', path });
      const server = createServer();
      await listen(server, { kind: 'path', path });
      servers.push(server);
    };
    const outcomes = await Promise.allSettled([start(), start(), start()]);
    t.after(() => servers.map((server) => server.close()));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.deepEqual(readdirSync(folder), [nameIn(folder)]);
  });
