/** Runs commands, as processes or in this one. */
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Output } from '../../src/commands/command.ts';
import { runCommand } from '../../src/commands/commands.ts';
import { COMMAND_FLAGS } from '../../src/commands/flags.ts';
import { readConfig } from '../../src/config/config.ts';
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

/** Collects the output of a command in this process. */
export function outputHere(): { io: Output & { data: PassThrough }; ran(code: number): Ran } {
  const [out, err]: [string[], string[]] = [[], []];
  const io = {
    out: (one: string) => void out.push(one),
    err: (one: string) => void err.push(one),
    input: Readable.from([]),
    data: new PassThrough(),
    screen: undefined,
  };
  return { io, ran: (code) => ({ code, out: out.join('\n'), err: err.join('\n') }) };
}

/** Runs a command in this process, which takes a tenth of the CPU. `data` is what it writes to a stream. */
export async function runHere(argv: readonly string[]): Promise<Ran & { data: string }> {
  const { words, config, extra } = readConfig(argv, {}, COMMAND_FLAGS);
  const { io, ran } = outputHere();
  const data = text(io.data);
  const code = await runCommand(words, config, extra, io);
  io.data.end();
  return { ...ran(code), data: await data };
}
