/**
 * Files of our own that are found by their place. This module lies beside main.ts, as source and as built: whatever build.mjs joins
 * into one file stays in that folder.
 */
import { type MessagePort, Worker } from 'node:worker_threads';

const here = new URL('.', import.meta.url);

/** `.ts` while run from the sources, `.js` as built. */
const MODULE_TYPE = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** A module that runs in a process or thread of its own; `name` is its path below this folder, without the ending. */
export function moduleFile(name: string): URL {
  return new URL(name + MODULE_TYPE, here);
}

/**
 * Starts a module in a thread. Node 20 gives threads none of the loaders of the process: from its sources the module is
 * loaded by tsx again.
 */
export function startThread(module: URL, workerData: unknown, transferList: MessagePort[] = []): Worker {
  if (!module.pathname.endsWith('.ts')) return new Worker(module, { workerData, transferList });
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const code = `import(${tsx}).then(({ register }) => { register(); return import(${JSON.stringify(module.href)}); })`;
  return new Worker(code, { workerData, transferList, eval: true });
}

/** What browsers load, which is always built. */
export const publicFolder = new URL(MODULE_TYPE === '.ts' ? '../dist/public/' : 'public/', here);

export const packageFile = new URL('../package.json', here);
