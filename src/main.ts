#!/usr/bin/env node
/**
 * The command line; the only file with side effects. In a worker process it runs the worker. Each role loads only the
 * modules that it runs, because loading takes most of the start time.
 */
import cluster from 'node:cluster';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { isOwnWorker, StartError } from './cluster/supervisor.ts';
import type { Output } from './commands/command.ts';
import { COMMAND_FLAGS } from './commands/flags.ts';
import { type Config, ConfigError, type Parsed, readConfig, wordsOf } from './config/config.ts';
import { killSelf } from './lib/kill-self.ts';
import { osErrorText } from './lib/os-error.ts';
import type { Running } from './primary.ts';
import { RedisError } from './redis/error.ts';
import { FolderInUse } from './server/folder-lock.ts';
import { browseUrl, ListenError } from './server/listen.ts';
import { version } from './server/version.ts';
import { StoreError } from './store/contract.ts';

/** Maximum wait for a start that must be cancelled, milliseconds. */
const EARLY_STOP_LIMIT_MS = 3000;
/** Maximum duration of a stop, milliseconds. */
const STOP_LIMIT_MS = 5000;
/** Maximum time to print a refusal, milliseconds. */
const REFUSAL_LIMIT_MS = 1000;

let stopping = false;

if (cluster.isWorker) await (isOwnWorker() ? work() : refuseCluster());
else await command(process.argv.slice(2));

async function work(): Promise<void> {
  // Ctrl-C reaches the whole process group; the primary decides when workers stop.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  // Closing a terminal reaches all processes, too.
  process.on('SIGHUP', () => {});
  const { runWorker } = await import('./worker.ts');
  await runWorker(readConfig(process.argv.slice(2), process.env).config);
}

/** Without our primary a worker would listen but let no visitor in. */
async function refuseCluster(): Promise<void> {
  const text =
    'another program is running Fieldmouse as its cluster worker, as `pm2 start -i` does. Fieldmouse starts its own ' +
    'workers: use `pm2 start ecosystem.config.cjs`, and set their number with --workers';
  // PM2 forwards a worker's output in the background.
  await new Promise<void>((resolve) => {
    process.stderr.write(`fieldmouse: ${text}\n`, () => resolve());
    setTimeout(resolve, REFUSAL_LIMIT_MS);
  });
  process.exit(2);
}

async function command(argv: string[]): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreEpipe);
  if (argv.includes('--help') || argv.includes('-h') || argv[0] === 'help') return help(argv);
  if (argv.includes('--version') || argv.includes('-v')) return print(version);
  try {
    const parsed = readConfig(argv, process.env, COMMAND_FLAGS);
    const [first = 'start', ...rest] = parsed.words;
    if (first === 'start') await start(parsed, rest);
    else
      process.exitCode = await (await import('./commands/commands.ts')).runCommand(
        parsed.words,
        parsed.config,
        parsed.extra,
        terminal(),
      );
  } catch (error) {
    if (error instanceof ConfigError) await failOfUsage(error, argv);
    else fail(error);
  }
}

/** `help COMMAND`, or `COMMAND --help`. */
async function help(argv: string[]): Promise<void> {
  const words = wordsOf(argv, COMMAND_FLAGS);
  const { showHelp } = await import('./commands/commands.ts');
  process.exitCode = showHelp(argv[0] === 'help' ? words.slice(1) : words, terminal());
}

/** The reader has closed the pipe, as `head` does. The work goes on without further output. */
function ignoreEpipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

function terminal(): Output {
  const { stdin: input, stdout: data, stderr } = process;
  return { out: print, err: printError, input, data, screen: stderr.isTTY ? stderr : undefined };
}

async function start({ config, extra }: Parsed, rest: string[]): Promise<void> {
  const faults = rest.map((word) => `start: unexpected argument ${JSON.stringify(word)}`);
  for (const [name, values] of Object.entries(extra))
    if (values.length > 0) faults.push(`--${name}: not an option of start`);
  if (faults.length > 0) throw new ConfigError(faults);
  // Otherwise SIGHUP would end a process that has no listener yet.
  process.on('SIGHUP', () => {});
  let running: Running | undefined;
  let stopRequested = false;
  // As early as possible: the first process of a container ignores signals without a listener.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      stopRequested = true;
      if (running) void stop(running);
      else setTimeout(() => endNow('stopped before it had started'), EARLY_STOP_LIMIT_MS).unref();
    });
  // A bug must not cost connections: workers are drained and replaced, but nobody would replace this process.
  process.on('unhandledRejection', (error) =>
    printError(`fieldmouse: unexpected error; the server keeps running: ${inspect(error)}`),
  );
  const { startPrimary } = await import('./primary.ts');
  running = await startPrimary(config, fileURLToPath(import.meta.url), process.argv.slice(2));
  if (stopRequested) await stop(running);
  else runOn(running, config);
}

/** Runs until the server is stopped. */
function runOn(running: Running, config: Config): void {
  // Closing the terminal stops a server that was started in it.
  const isInTerminal = process.stdin.isTTY || process.stdout.isTTY;
  process.on('SIGHUP', () => void (isInTerminal ? stop(running) : running.reload()));
  void running.damaged.then(async (error) => {
    printError(`fieldmouse: ${error.message}`);
    await stop(running, 1);
  });
  announce(running, config);
  // PM2 waits for this with `wait_ready`; all workers are listening now.
  process.send?.('ready');
}

function endNow(why: string): void {
  printError(`fieldmouse: ${why}`);
  killSelf();
}

async function stop(running: Running, exitCode = 0): Promise<void> {
  if (stopping) return;
  stopping = true;
  setTimeout(() => endNow(`ended, because the stop took longer than ${STOP_LIMIT_MS / 1000} s`), STOP_LIMIT_MS).unref();
  await running.close();
  process.exit(exitCode);
}

/** The last line says that the server is listening, so that scripts can wait for it. */
function announce({ addresses, firstLink, nobodyCanSignIn }: Running, config: Config): void {
  const origin = addresses.map(browseUrl).find((url) => url !== undefined);
  const base = origin && origin + config.basePath;
  const lines = [`Fieldmouse ${version}`];
  if (base) lines.push(`  Demo site   ${base}/`, `  Dashboard   ${base}/admin`);
  if (firstLink) {
    lines.push(
      '',
      'First start with this store. Sign in with this link; it works once, for 15 minutes:',
      `  ${base ?? `https://YOUR-HOST${config.basePath}`}/admin/link/${firstLink}`,
      `To get another link later: ${linkCommand(config)}`,
      '',
    );
  }
  if (nobodyCanSignIn) lines.push('', `Nobody has signed in yet. To get a new link: ${linkCommand(config)}`, '');
  print([...lines, `listens on ${addresses.join(', ')}`].join('\n'));
}

/** The command that prints a sign-in link, for the folder in which the server was started. */
function linkCommand({ data, redis }: Config): string {
  const isInstalled = basename(process.argv[1] ?? '') === 'fieldmouse' && !process.env.npm_lifecycle_event;
  const words = [isInstalled ? 'fieldmouse' : 'npx fieldmouse', 'admin add NAME'];
  if (data !== resolve('data') && !process.env.FIELDMOUSE_DATA) words.push('--data', shellWord(data));
  // The URL may contain a password.
  if (redis && !process.env.FIELDMOUSE_REDIS) words.push('--redis URL');
  return words.join(' ');
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** One line per error, and where to find help. */
async function failOfUsage({ faults }: ConfigError, argv: string[]): Promise<void> {
  for (const fault of faults) printError(`fieldmouse: ${fault}`);
  printError((await import('./commands/commands.ts')).hintText(wordsOf(argv, COMMAND_FLAGS)));
  process.exit(2);
}

/** One line without a stack for errors that a person can fix; everything for others, which are bugs. */
function fail(error: unknown): void {
  const refusal = osErrorText(error);
  if (
    error instanceof StartError ||
    error instanceof StoreError ||
    error instanceof RedisError ||
    error instanceof ListenError ||
    error instanceof FolderInUse
  )
    printError(`fieldmouse: ${error.message}`);
  else if (refusal !== undefined) printError(`fieldmouse: ${refusal}`);
  else printError(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exit(1);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function printError(line: string): void {
  process.stderr.write(`${line}\n`);
}
