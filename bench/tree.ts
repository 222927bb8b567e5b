/** The server under test: the built one, in its own processes, with what it costs read from /proc. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const TOKEN = 'bench-token-0123456789';
/** Clock ticks per second in /proc/PID/stat (USER_HZ, 100 on every Linux). */
const TICKS_PER_MS = 0.1;

/** Starts `dist/main.js` on a free port with a new data folder. */
export async function startTree(flags: string[] = []) {
  const data = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  const args = ['--listen', 'tcp://127.0.0.1:0', '--data', data, '--max-per-address', '100000', ...flags];
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, FIELDMOUSE_TOKEN: TOKEN, NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const pid = child.pid as number;
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /listens on tcp:\/\/127\.0\.0\.1:(\d+)/.exec(line);
      if (found) resolve(Number(found[1]));
    });
    child.once('exit', () => reject(new Error('the server did not start; is it built? npm run build')));
  });
  const pids = () => [pid, ...children(pid)];
  const cpuByProcess = () => new Map(pids().map((one) => [one, cpuMs(one)]));
  return {
    port,
    token: TOKEN,
    /** CPU of all processes so far, ms. */
    cpuMs: () => pids().reduce((sum, one) => sum + cpuMs(one), 0),
    cpuByProcess,
    shares: (before: Map<number, number>, seconds: number) =>
      [...cpuByProcess()]
        .map(
          ([one, ms], i) =>
            `${i === 0 ? 'primary' : 'worker'} ${((ms - (before.get(one) ?? 0)) / (10 * seconds)).toFixed(0)}`,
        )
        .join(', '),
    rss: () =>
      pids()
        .map((one, i) => `${i === 0 ? 'primary' : 'worker'} ${rssMb(one)}`)
        .join(', '),
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      rmSync(data, { recursive: true, force: true });
    },
  };
}

function children(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_MS;
}

function rssMb(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}
