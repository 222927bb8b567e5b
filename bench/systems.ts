/** The measured systems: Fieldmouse and the baselines, each in its own processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Tree } from './tree.ts';

export const TOKEN = 'bench-token-0123456789';

/**
 * fieldmouse: ours, built · sink: `ws` that drops every frame · textbook: one message and one write per event ·
 * socket.io · http: bare `node:http` · counter: visits counted with micro and level
 */
export type SystemName = 'fieldmouse' | 'sink' | 'textbook' | 'socket.io' | 'http' | 'counter';

export interface System {
  tree: Tree;
  /** For visitors, and for streams. */
  port: number;
  streamPort: number;
  /** The data folder, which exists until the system is stopped. */
  data: string;
  /** `look` is called with the data folder when nothing writes to it any more. */
  stop(look?: (data: string) => Promise<void>): Promise<void>;
}

/** Raises only the limits that would treat the load generator as an attacker. */
const OUR_FLAGS = ['--max-per-address', '1000000', '--max-connections', '1000000'];

/** `PROFILE_DIR=/tmp/prof npm run bench -- json` writes a CPU profile of each Fieldmouse process to that folder. */
const PROFILE = process.env.PROFILE_DIR ? ['--cpu-prof', '--cpu-prof-dir', process.env.PROFILE_DIR] : [];

/** `flags`: options of Fieldmouse, or arguments of a baseline. `dist`: folder of another Fieldmouse build. */
export async function start(
  name: SystemName,
  flags: string[] = [],
  env: NodeJS.ProcessEnv = {},
  dist = file('../dist'),
): Promise<System> {
  const data = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  const args =
    name === 'fieldmouse'
      ? [...PROFILE, join(dist, 'main.js'), '--listen', 'tcp://127.0.0.1:0', '--data', data, ...OUR_FLAGS, ...flags]
      : ['--import', 'tsx', file(`./baselines/${name.replace('.', '-')}.ts`), ...flags];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, FIELDMOUSE_TOKEN: TOKEN, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const [port, streamPort] = await new Promise<[number, number]>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /listens on tcp:\/\/127\.0\.0\.1:(\d+) ?(\d*)/.exec(line);
      if (found) resolve([Number(found[1]), Number(found[2]) || Number(found[1])]);
    });
    child.once('exit', () => reject(new Error(`${name} did not start`)));
  });
  return {
    tree: new Tree(child.pid as number),
    port,
    streamPort,
    data,
    async stop(look) {
      child.kill('SIGTERM');
      await exited;
      await look?.(data);
      rmSync(data, { recursive: true, force: true });
    },
  };
}

function file(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
