import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Forks a module of this folder by its name: built if the tests are (see test-build.ts), otherwise by tsx. */
export function forkModule(name: string, args: readonly string[] = []): ChildProcess {
  const isSource = import.meta.url.endsWith('.ts');
  const file = fileURLToPath(new URL(`${name}${isSource ? '.ts' : '.js'}`, import.meta.url));
  return fork(file, args, { execArgv: isSource ? ['--import', 'tsx'] : [] });
}
