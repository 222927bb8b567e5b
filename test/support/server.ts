/** Starts the real server on a free port and in its own folder. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { isBuilt, ROOT } from './built.ts';
import { LIMIT_MS } from './limit.ts';
import type { Owner } from './owner.ts';

export const TOKEN = 'test-token-0123456789';

export interface ServerOptions {
  flags?: string[];
  env?: Record<string, string>;
  /** An existing data folder; by default a new one, removed afterwards. */
  data?: string;
  workers?: number;
  /** The limit of open files of each process. */
  nofile?: number;
  /** Address to listen on; by default a free port of 127.0.0.1. */
  listen?: string;
}

export interface TestServer {
  /** In the form `http://127.0.0.1:PORT`. */
  url: string;
  /** In the form `ws://127.0.0.1:PORT`. */
  ws: string;
  /** An administrator's API token. */
  token: string;
  /** The one-time link of the first start, if it printed one. */
  link: string | undefined;
  data: string;
  process: ChildProcess;
  /** Returns everything printed so far. */
  output(): string;
  workerPids(): number[];
  /** Sends a request with the token. */
  api(path: string, init?: RequestInit): Promise<Response>;
  /** Adds a site, so that tests on a shared server do not see each other's visitors. Resolves with its key. */
  newSite(...origins: string[]): Promise<string>;
  /** Stops the server by SIGTERM and resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** Makes a folder that is removed with its owner. */
export function temporaryFolder(t: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-'));
  // A browser that is being stopped may still write to its profile.
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}

/** Returns the total size of the files in a folder, bytes. */
export function folderBytes(folder: string): number {
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** From sources, each process and thread of a server compiles them, which takes one or two seconds of CPU. */
const IS_BUILT = isBuilt();
/** Arguments for Node that run the command line: the build, or the sources if they are newer. */
export const MAIN = IS_BUILT ? [join(ROOT, 'dist/main.js')] : ['--import', 'tsx', join(ROOT, 'src/main.ts')];

/**
 * Path of a module that runs on its own thread: its build, or its source. `name` is as in src/server/package-files.ts.
 */
export function threadModule(name: string): URL {
  return pathToFileURL(join(ROOT, IS_BUILT ? `dist/${name}.js` : `src/${name}.ts`));
}

/** Starts the command line as a process. */
export function spawnMain(
  args: string[],
  env: Record<string, string> = {},
  stdin: 'ignore' | 'pipe' = 'ignore',
  nofile?: number,
): ChildProcess {
  const { FIELDMOUSE_TOKEN, PORT, ...inherited } = process.env;
  const limited = nofile === undefined ? [] : ['sh', '-c', `ulimit -n ${nofile} && exec "$0" "$@"`];
  const [command = '', ...rest] = [...limited, process.execPath, ...MAIN, ...args];
  return spawn(command, rest, {
    cwd: ROOT,
    env: { ...inherited, ...env },
    stdio: [stdin, 'pipe', 'pipe'],
  });
}

/** Starts a server and waits until it listens. It is stopped when its owner ends. */
export async function startServer(t: Owner, options: ServerOptions = {}): Promise<TestServer> {
  const data = options.data ?? temporaryFolder(t);
  const listen = options.listen ?? 'tcp://127.0.0.1:0';
  const args = [
    '--listen',
    listen,
    '--data',
    data,
    '--workers',
    String(options.workers ?? 2),
    ...(options.flags ?? []),
  ];
  const child = spawnMain(args, { FIELDMOUSE_TOKEN: TOKEN, ...options.env }, 'ignore', options.nofile);
  const lines: string[] = [];
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const stop = async () => {
    // The test may have stopped it already.
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    return (await exited)[0];
  };
  t.after(stop);
  await banner(child, lines);
  const text = () => lines.join('\n');
  const url = /Demo site +(http:\/\/\S+:\d+)\//.exec(text())?.[1] ?? '';
  const api: TestServer['api'] = (path, init = {}) =>
    fetch(url + path, { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...(init.headers as object) } });
  let sites = 0;
  return {
    url,
    ws: url.replace('http', 'ws'),
    token: TOKEN,
    link: /(\S+\/admin\/link\/\S+)/.exec(text())?.[1],
    data,
    process: child,
    output: text,
    workerPids: () => childrenOf(child.pid as number),
    api,
    newSite: async (...origins) => {
      sites += 1;
      const key = `site-${sites}`;
      const body = JSON.stringify({ key, name: key, origins });
      const headers = { 'content-type': 'application/json' };
      assert.equal((await api('/v1/sites', { method: 'POST', headers, body })).status, 201);
      return key;
    },
    stop,
  };
}

/** Resolves when the server has printed its start messages. Rejects with its output if it exits before. */
function banner(child: ChildProcess, lines: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream as NodeJS.ReadableStream }).on('line', (line) => {
        lines.push(line);
        if (line.startsWith('listens on ')) resolve();
      });
    }
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}:\n${lines.join('\n')}`)));
  });
}

/** Returns the process ids of the direct children that are Node workers. */
export function childrenOf(pid: number): number[] {
  return allChildrenOf(pid).filter((child) => /\/main\.(ts|js)/.test(commandLine(child)));
}

/** Returns the process ids of all direct children. */
export function allChildrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** Kills all of a server's processes at once, as the failure of its computer would. */
export async function killTree({ process: primary, workerPids }: TestServer): Promise<void> {
  const workers = workerPids();
  const exited = once(primary, 'exit');
  for (const pid of [primary.pid as number, ...workers]) process.kill(pid, 'SIGKILL');
  await exited;
  const end = performance.now() + LIMIT_MS;
  while (workers.some(isAlive)) {
    if (performance.now() > end) throw new Error('killed workers are still there');
    await sleep(20);
  }
}

/** Processes whose parent has exited may remain as zombies for a while. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
