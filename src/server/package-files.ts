/**
 * Finds files of the package by their place: in the sources this module is src/server/package-files.ts; build.mjs joins
 * it into files beside main.js.
 */
import { type MessagePort, Worker } from 'node:worker_threads';

/** `.ts` when run from the sources, `.js` when built. */
const MODULE_TYPE = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** The folder of main.ts or main.js. */
const root = new URL(MODULE_TYPE === '.ts' ? '../' : './', import.meta.url);

/**
 * A module that runs in a process or thread of its own; `name` is its path below that folder, without the extension.
 */
export function moduleFile(name: string): URL {
  return new URL(name + MODULE_TYPE, root);
}

/**
 * Starts a module in a thread. Node 20 does not pass the process's loaders to threads: a module from the sources is
 * loaded by tsx again.
 */
export function startThread(module: URL, workerData: unknown, transferList: MessagePort[] = []): Worker {
  if (!module.pathname.endsWith('.ts')) return new Worker(module, { workerData, transferList });
  const tsx = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const code = `import(${tsx}).then(({ register }) => { register(); return import(${JSON.stringify(module.href)}); })`;
  return new Worker(code, { workerData, transferList, eval: true });
}

/** The files for browsers, which are always built. */
export const publicFolder = new URL(MODULE_TYPE === '.ts' ? '../dist/public/' : 'public/', root);

export const packageFile = new URL('../package.json', root);
