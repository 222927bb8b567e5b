/** Commands, run as processes. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { spawnMain } from './server.ts';

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs a command until it ends. */
export async function run(...args: string[]): Promise<Ran> {
  const child = spawnMain(args);
  const [out, err, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'exit') as Promise<[number]>,
  ]);
  return { code, out, err };
}
