/** Real Redis servers: one, one with sentinels, or a cluster of three, each on a free port and in its own folder. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './exact.ts';
import { freePort } from './free-port.ts';
import { LIMIT_MS } from './limit.ts';
import type { Owner } from './owner.ts';

export interface RedisServer {
  /** In the form `redis://127.0.0.1:PORT`. */
  url: string;
  port: number;
  folder: string;
  process: ChildProcess;
  /** Sends a signal; SIGSTOP suspends the server, SIGCONT resumes it. */
  signal(signal: NodeJS.Signals): void;
  /** Stops the server by a signal, and waits until it has exited. */
  end(signal?: NodeJS.Signals): Promise<void>;
  /** Restarts it on the same port and folder. */
  restart(): Promise<void>;
  /** Runs redis-cli and returns its output. */
  cli(...args: string[]): string;
}

/** Starts a server that writes each change to its file before it answers. It is stopped after the test. */
export async function startRedis(t: Owner, flags: readonly string[] = [], port?: number): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const own = port ?? (await freePort());
  const args = ['--port', String(own), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes'];
  const all = [...args, '--appendfsync', 'always', '--daemonize', 'no', '--loglevel', 'warning', ...flags];
  return start(t, folder, own, all);
}

async function start(t: Owner, folder: string, port: number, args: readonly string[]): Promise<RedisServer> {
  let [child, exited] = await launch(args, port);
  const server: RedisServer = {
    url: `redis://127.0.0.1:${port}`,
    port,
    folder,
    get process() {
      return child;
    },
    signal: (signal) => void child.kill(signal),
    end: async (signal = 'SIGKILL') => {
      child.kill('SIGCONT');
      child.kill(signal);
      await exited;
    },
    restart: async () => {
      [child, exited] = await launch(args, port);
    },
    cli: (...words) => execFileSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8' }),
  };
  t.after(async () => {
    await server.end();
    rmSync(folder, { recursive: true, force: true });
  });
  return server;
}

async function launch(args: readonly string[], port: number): Promise<[ChildProcess, Promise<unknown>]> {
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout?.on('data', (text) => {
    said += text;
  });
  const exited = once(child, 'exit');
  await answers(port, () => assert.equal(child.exitCode, null, said));
  return [child, exited];
}

/** Polls, since Redis does not report at this log level that it listens. */
async function answers(port: number, check: () => void): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  for (;;) {
    check();
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      if (!(await isLoading(socket))) return;
    } catch (error) {
      if (performance.now() > end) throw error;
    } finally {
      socket.destroy();
    }
    await sleep(20);
  }
}

/**
 * Returns true while the server accepts connections but still loads its file. A server with TLS answers nothing, or
 * closes.
 */
async function isLoading(socket: Socket): Promise<boolean> {
  socket.write('PING\r\n');
  const [answer = ''] = await Promise.race([
    once(socket, 'data'),
    once(socket, 'close'),
    sleep(500, [''], { ref: false }),
  ]);
  return String(answer).startsWith('-LOADING');
}

export interface RedisCluster {
  nodes: RedisServer[];
  /** Addresses of its nodes, separated by commas. */
  url: string;
}

/**
 * Starts three nodes with a third of the slots each, and `replicas` replicas of each. A node's second port must be
 * free, too.
 */
export async function startRedisCluster(t: Owner, replicas = 0, more: readonly string[] = []): Promise<RedisCluster> {
  const nodes = await Promise.all(Array.from({ length: 3 + 3 * replicas }, () => startNode(t, more)));
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const args = ['--cluster', 'create', ...addresses, '--cluster-replicas', String(replicas), '--cluster-yes'];
  execFileSync('redis-cli', args, { stdio: 'pipe' });
  const isReady = (node: RedisServer) =>
    node.cli('cluster', 'info').includes('cluster_state:ok') &&
    !/role:slave.*master_link_status:down/s.test(node.cli('info', 'replication'));
  await until(() => nodes.every(isReady), 'cluster');
  return { nodes, url: nodes.map(({ url }) => url).join(',') };
}

async function startNode(t: Owner, more: readonly string[]): Promise<RedisServer> {
  const bus = String(await freePort());
  const flags = ['--cluster-enabled', 'yes', '--cluster-port', bus, '--cluster-node-timeout', '2000'];
  return startRedis(t, [...flags, ...more]);
}

export interface RedisPair {
  /** The initial master. */
  master: RedisServer;
  replica: RedisServer;
  /** In the form `redis+sentinel://…/mymaster`. */
  url: string;
  /** Returns the port of the master that the sentinels report. */
  masterPort(): number;
}

/**
 * Starts a master with a replica, and three sentinels. They promote the replica when the master is unreachable for a
 * second.
 */
export async function startRedisPair(t: Owner): Promise<RedisPair> {
  const flags = ['--repl-diskless-sync-delay', '0'];
  const master = await startRedis(t, flags);
  const replica = await startRedis(t, [...flags, '--replicaof', '127.0.0.1', String(master.port)]);
  await until(() => replica.cli('info', 'replication').includes('master_link_status:up'), 'replica');
  const sentinels = await Promise.all([1, 2, 3].map(() => startSentinel(t, master.port, 2)));
  const knowsAll = ({ cli }: RedisServer) => /status=ok,.*slaves=1,sentinels=3/.test(cli('info', 'sentinel'));
  await until(() => sentinels.every(knowsAll), 'sentinels');
  const [first] = sentinels as [RedisServer];
  return {
    master,
    replica,
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/mymaster`,
    masterPort: () => Number(first.cli('sentinel', 'get-master-addr-by-name', 'mymaster').split('\n')[1]),
  };
}

/** Starts a sentinel that monitors a master by the name `mymaster`. `quorum` sentinels must agree that it is down. */
export async function startSentinel(
  t: Owner,
  master: number,
  quorum = 1,
  more: readonly string[] = [],
): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sentinel-'));
  const port = await freePort();
  const lines = [
    `dir ${folder}`,
    'bind 127.0.0.1',
    'loglevel warning',
    `port ${port}`,
    `sentinel monitor mymaster 127.0.0.1 ${master} ${quorum}`,
    'sentinel down-after-milliseconds mymaster 1000',
    'sentinel failover-timeout mymaster 5000',
    ...more,
  ];
  // The sentinel writes its state into this file.
  const file = join(folder, 'sentinel.conf');
  writeFileSync(file, lines.join('\n'));
  return start(t, folder, port, [file, '--sentinel']);
}
