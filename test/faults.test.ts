/**
 * Everything acked is in the record exactly once, whatever happens: real processes are killed and disks are filled.
 * With FIELDMOUSE_LONG=1 workers of 200 visitors are killed for 30 s, instead of those of 60 visitors for 7 s.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Visit } from '../src/model/visit.ts';
import type { HelloReply } from '../src/protocol/control.ts';
import { packFrames } from '../src/protocol/encode.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { assertExact, compare, crowd, settle, storedOf, sum, Traffic, until } from './support/exact.ts';
import { freeAddress } from './support/free-port.ts';
import { LIMIT_MS } from './support/limit.ts';
import { folderBytes, killTree, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { FAR, SteadyVisitor } from './support/steady-visitor.ts';
import { StreamReader, samplesOf } from './support/stream.ts';
import { helloFrame, samplesFrame, type VisitorOptions } from './support/visitor.ts';

const [KILL_SECONDS, KILL_VISITORS] = process.env.FIELDMOUSE_LONG ? [30, 200] : [7, 60];

test('killing a worker each second loses no acked data', async (t) => {
  // A port that is the same when all workers are gone for a moment.
  const server = await startServer(t, { listen: await freeAddress() });
  const visitors = crowd(t, KILL_VISITORS, () => server.ws);
  const traffic = new Traffic(visitors, 100, 6);
  t.after(() => traffic.stop());
  let kills = 0;
  for (let second = 0; second < KILL_SECONDS; second++) {
    await sleep(1000);
    const pids = server.workerPids();
    const pid = pids[Math.floor(pids.length * Math.random())];
    if (pid === undefined) continue;
    process.kill(pid, 'SIGKILL');
    kills += 1;
  }
  traffic.stop();
  await settle(visitors);
  const connections = visitors.reduce((sum, visitor) => sum + visitor.connections, 0);
  t.diagnostic(
    `${kills} workers killed in ${KILL_SECONDS} s, ${KILL_VISITORS} visitors connected ${connections} times`,
  );
  // Where workers keep dying, others are started after a while only: at times there is none to kill.
  assert.ok(kills >= 5, `${kills} kills`);
  assert.equal(await server.stop(), 0);
  await assertExact(t, server.data, visitors);
});

test('visitors that stay too long continue as new visitors, and no sample is lost or stored twice', async (t) => {
  const server = await startServer(t, { flags: ['--max-visit', '1s'] });
  const visitors = crowd(t, 25, () => server.ws);
  const traffic = new Traffic(visitors, 50, 3);
  t.after(() => traffic.stop());
  await until(() => visitors.every(({ former }) => former.length >= 2), 'new ids');
  traffic.stop();
  await settle(visitors);
  assert.ok(visitors.every(({ closes }) => closes.every((code) => code === 1012)));
  assert.equal(await server.stop(), 0);
  await assertExact(t, server.data, visitors, true);
});

test('frames posted for a visitor that stayed too long are stored once, for the new visitor', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--max-visit', '1s'] });
  const post = async (about: VisitorOptions, ...frames: Uint8Array[]) => {
    const body = Uint8Array.from(packFrames([helloFrame(about), ...frames].map((frame) => [...frame])));
    const headers = { 'content-type': 'text/plain' };
    const answer = await fetch(`${server.url}/v1/visit?site=demo&page=/`, { method: 'POST', headers, body });
    assert.equal(answer.status, 200);
    return (await answer.json()) as HelloReply;
  };
  const frame = (n: number) => samplesFrame(n, [{ type: 'move', time: n, x: n, y: n }]);
  const first = await post({});
  await sleep(1100);
  const last = first.n + 1;
  const second = await post({ token: first.token, last }, frame(last));
  assert.notEqual(second.visitor, first.visitor);
  assert.ok(second.n < last, 'nothing was taken');
  const again = await post({ token: second.token, last: second.n + 1 }, frame(second.n + 1));
  assert.deepEqual([again.visitor, again.n], [second.visitor, second.n + 1]);
  const { visits } = (await (await server.api('/v1/visits?site=demo')).json()) as { visits: Visit[] };
  assert.equal(sum(visits.map(({ moves }) => moves)), 1);
});

test('killing all processes during a write loses no acked data', async (t) => {
  const data = temporaryFolder(t);
  let server = await startServer(t, { data });
  const listen = server.url.replace('http', 'tcp');
  const visitors = crowd(t, 50, () => server.ws);
  const traffic = new Traffic(visitors, 50, 10);
  t.after(() => traffic.stop());
  for (let round = 0; round < 3; round++) {
    const before = Math.min(...visitors.map(({ acked }) => acked));
    await until(() => visitors.every(({ acked }) => acked > before + 100), 'acks');
    await killTree(server);
    const store = await openLmdbStore(data);
    await compare(t, store, visitors).then(({ lost, duplicated }) => assert.deepEqual([lost, duplicated], [0, 0]));
    await store.close();
    server = await startServer(t, { data, listen });
  }
  traffic.stop();
  await settle(visitors);
  assert.equal(await server.stop(), 0);
  await assertExact(t, data, visitors);
});

/** A disk that can be full. */
interface Disk {
  folder: string;
  fill(server: TestServer): void;
  makeRoom(server: TestServer): void;
}

test('a full disk: acks wait, the live view continues, and all recovers once there is room', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'tmpfs', folder]);
  t.after(() => {
    if (status === 0) execFileSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  if (status !== 0) return t.skip('only root may mount a small disk');
  const ballast = join(folder, 'ballast');
  await fullDisk(t, {
    folder: join(folder, 'data'),
    // Until nothing is left but the little that is written next.
    fill: () => {
      const free = Number(execFileSync('stat', ['-f', '-c', '%a', folder], { encoding: 'utf8' }));
      writeFileSync(ballast, Buffer.alloc(4096 * Math.max(1, free - 50)));
    },
    makeRoom: () => rmSync(ballast),
  });
});

test('a file size limit: acks wait, the live view continues, and all recovers once the limit is raised', async (t) => {
  const limit = (server: TestServer, bytes: string) => {
    for (const pid of [server.process.pid as number, ...server.workerPids()])
      execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
  };
  if (spawnSync('prlimit', ['--version']).status !== 0) return t.skip('there is no prlimit');
  const folder = temporaryFolder(t);
  await fullDisk(t, {
    folder,
    fill: (server) => limit(server, String(statSync(join(folder, 'store.mdb')).size + 200_000)),
    makeRoom: (server) => limit(server, 'unlimited'),
  });
});

async function fullDisk(t: TestContext, disk: Disk): Promise<void> {
  mkdirSync(disk.folder, { recursive: true });
  const server = await startServer(t, { data: disk.folder, workers: 1 });
  const visitors = crowd(t, 20, () => server.ws);
  const traffic = new Traffic(visitors, 100, 50, true);
  t.after(() => traffic.stop());
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await until(() => visitors.every(({ acked }) => acked > 0), 'acks');
  disk.fill(server);
  await until(() => complaints(server) > 0, 'word of trouble');

  const asked = visitors.map(({ made }) => made);
  await stream.until(() => showsAll(stream, asked), 'moves made since');
  await until(() => visitors.some(slowed), 'slower pace');
  await standstill(visitors);
  assert.ok(complaints(server) <= 1, `${complaints(server)} complaints of one worker within a minute`);
  assert.doesNotMatch(server.output(), /unexpected error/);
  for (const path of ['visits?site=demo', 'pages?site=demo', 'heatmap?site=demo&page=%2F'])
    assert.equal((await server.api(`/v1/${path}`)).status, 200, `${path} is read on a full disk`);

  disk.makeRoom(server);
  traffic.stop();
  await settle(visitors);
  assert.match(server.output(), /frames are stored again/);
  t.diagnostic(
    `${complaints(server)} complaints; frames were asked for each ${[...new Set(visitors.flatMap(({ paces }) => paces))]} ms`,
  );
  assert.equal(await server.stop(), 0);
  await assertExact(t, disk.folder, visitors);
}

/** Waits until nothing was acked for longer than the server waits between two attempts to store something. */
async function standstill(visitors: readonly SteadyVisitor[]): Promise<void> {
  const sum = () => visitors.reduce((total, { acked }) => total + acked, 0);
  const end = performance.now() + LIMIT_MS;
  for (let before = -1; before !== sum(); await sleep(4000)) {
    before = sum();
    assert.ok(performance.now() < end, 'acks go on');
  }
}

function complaints(server: TestServer): number {
  return server.output().split('frames cannot be stored').length - 1;
}

/** It was asked for fewer frames than the 10 a second of while somebody watches; while nobody does, that is 1. */
function slowed({ paces }: SteadyVisitor): boolean {
  return paces.some((ms) => ms > 100 && ms < 1000);
}

/** True if every visitor was shown to have made a sample after these serials. */
function showsAll(stream: StreamReader, serials: readonly number[]): true | undefined {
  const seen = new Map<number, number>();
  for (const [, , x, y] of samplesOf(stream.events)) seen.set(x % FAR, Math.max(seen.get(x % FAR) ?? 0, y));
  return serials.every((serial, no) => (seen.get(no) ?? 0) > serial) || undefined;
}

const CAP = 8_000_000;
/** So many write at the same time, one visitor after the other. */
const LANES = 8;

test('a data folder never exceeds the cap, and the oldest visits are removed first', async (t) => {
  const server = await startServer(t, { flags: ['--max-store', '8MB'] });
  let largest = 0;
  const look = setInterval(() => {
    largest = Math.max(largest, folderBytes(server.data));
  }, 50);
  t.after(() => clearInterval(look));
  const visitors: SteadyVisitor[] = [];
  const lane = async (first: number) => {
    for (let no = first; no < 48; no += LANES) {
      const visitor = new SteadyVisitor(t, () => server.ws, no, `/${no}`);
      visitors.push(visitor);
      for (let i = 0; i < 60; i++) {
        visitor.move(500, true);
        await sleep(20);
      }
      await visitor.settled();
      visitor.leave();
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, first) => lane(first)));
  clearInterval(look);
  assert.equal(await server.stop(), 0);
  const store = await openLmdbStore(server.data);
  t.after(() => store.close());
  assert.deepEqual(await store.archive.verify(), []);
  const { used } = await store.archive.usage();
  const stored = await Promise.all(visitors.map((visitor) => storedOf(store, visitor)));
  const kept = stored.map(({ size }) => size > 0);
  const acked = visitors.reduce((sum, visitor) => sum + visitor.acked, 0);
  const left = kept.filter(Boolean).length;
  t.diagnostic(
    `acked ${acked} samples in ${visitors.length} visits, ${left} of which are left; largest size ${largest}, in use at the end ${used}`,
  );
  assert.ok(left > 0 && left < visitors.length, `${left} of ${visitors.length} are left`);
  for (const [i, serials] of stored.entries()) {
    if (!kept[i]) continue;
    const { acked: due } = visitors[i] as SteadyVisitor;
    assert.equal(serials.size, due, 'what is left is whole');
    assert.ok([...serials.values()].every((times) => times === 1));
  }
  // Those that went later are less plain: visits are filed some seconds after they were written, and removed only then.
  assert.ok(!kept.slice(0, LANES).includes(true), `the oldest went first: ${kept.map(Number).join('')}`);
  assert.ok(largest <= CAP, `the folder had ${largest} bytes`);
});
