/**
 * Only one server may use a data folder: two would each show only their own visitors. Commands talk to the server
 * through the socket that locks the folder.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** Paths of Unix sockets must be short (108 bytes on Linux, 104 elsewhere). */
const MAX_PATH = 100;
/** Each server has a socket with a name of its own. Earlier versions used `server.sock`. */
const SOCKET_NAME = /^server(-[0-9a-f]{12})?\.sock$/;
/**
 * Two servers that start at the same moment both step back, and try again after a random wait of up to this time,
 * milliseconds.
 */
const MAX_RETRY_DELAY_MS = 200;
const MAX_TRIES = 20;
/**
 * A client must send its line within this time, milliseconds; the other constant is the maximum length of the line,
 * bytes.
 */
const TIMEOUT_MS = 2000;
const MAX_LINE = 64;
const DONE = 'done';
const FAILED = 'failed: ';
/** The question that a starting server asks, and the answers to it. */
const STATE = 'state';
const HELD = 'held';
const STARTING = 'starting';
/** The answer of a web server, to which `--listen unix:…` may have given the name of a lock: it holds no lock. */
const HTTP_ANSWER = /^HTTP\/\d/;

/** The orders that a server accepts. `tell` sends a line to the client. Throws an Error whose message is one line. */
export type Orders = Readonly<Record<'reload', (tell: (line: string) => void) => Promise<void>>>;

/** Another server uses this data folder. `message` is one line for people. */
export class FolderInUse extends Error {
  readonly code = 'data-in-use';

  constructor(folder: string) {
    super(`another server uses the data folder ${folder}; choose another with --data`);
    this.name = 'FolderInUse';
  }
}

/**
 * Locks the folder by listening on a socket in it. The lock ends with this process, however it ends. Returns a function
 * that unlocks. Throws FolderInUse. If no socket can be made (Windows, some network file systems), the folder is not
 * locked, and `warn` gets the reason.
 *
 * No server removes a name that another may be using: each server binds a name of its own first, and then looks at the
 * other sockets. So of two servers, the one that binds later always sees the other.
 */
export async function lockFolder(
  folder: string,
  orders?: Orders,
  warn: (reason: string) => void = () => {},
): Promise<() => void> {
  if (process.platform === 'win32') return () => {};
  const opened = openFolder(folder);
  try {
    for (let tries = 1; ; tries++) {
      const lock = await tryLock(opened.path, orders, warn);
      if (lock === 'held' || (lock === 'contested' && tries === MAX_TRIES)) throw new FolderInUse(folder);
      if (lock !== 'contested')
        return () => {
          lock();
          opened.close();
        };
      await sleep(Math.random() * MAX_RETRY_DELAY_MS);
    }
  } catch (error) {
    opened.close();
    throw error;
  }
}

/** A short path of the folder, valid until it is closed. */
interface Place {
  path: string;
  close(): void;
}

function openFolder(folder: string): Place {
  if (Buffer.byteLength(join(folder, socketName())) <= MAX_PATH) return { path: folder, close: () => {} };
  if (process.platform === 'linux') {
    const fd = openSync(folder, 'r');
    return { path: `/proc/self/fd/${fd}`, close: callOnce(() => closeSync(fd)) };
  }
  const link = mkdtempSync(join(tmpdir(), 'fm-'));
  symlinkSync(folder, join(link, 'd'));
  return { path: join(link, 'd'), close: () => rmSync(link, { recursive: true, force: true }) };
}

function callOnce(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) run();
    isDone = true;
  };
}

function socketName(): string {
  return `server-${randomBytes(6).toString('hex')}.sock`;
}

/**
 * Returns a function that unlocks; `held`: another server runs on the folder; `contested`: another one is starting on
 * it.
 */
async function tryLock(
  folder: string,
  orders: Orders | undefined,
  warn: (reason: string) => void,
): Promise<(() => void) | 'held' | 'contested'> {
  let isHeld = false;
  const own = socketName();
  const server = createServer((socket) => void serve(socket, orders, () => (isHeld ? HELD : STARTING)));
  try {
    server.listen({ path: join(folder, own) });
    await once(server, 'listening');
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    warn(`no socket can be created in the data folder (${code}), so a second server on it would not be detected`);
    return () => {};
  }
  server.unref();
  const other = await otherLock(folder, own);
  // A server that started at the same moment may have removed our socket before it was listening.
  const isVisible = readdirSync(folder).includes(own);
  if (other === undefined && isVisible) {
    isHeld = true;
    return () => server.close();
  }
  await closed(server);
  return other === HELD ? 'held' : 'contested';
}

async function closed(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

/** The state of another live server in the folder; undefined if there is none. Removes sockets of dead servers. */
async function otherLock(folder: string, own: string): Promise<string | undefined> {
  for (const name of readdirSync(folder).filter((one) => SOCKET_NAME.test(one) && one !== own)) {
    const path = join(folder, name);
    const state = await stateOf(path);
    if (state !== undefined) return state;
  }
  return undefined;
}

/** The state that the server at a socket reports. Undefined: it is not a lock. Removes the socket of a dead server. */
async function stateOf(path: string): Promise<string | undefined> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    // Any other error may come from a live server.
    if (code !== 'ECONNREFUSED') return HELD;
    tryRemove(path);
    return undefined;
  }
  const line = await answerOf(socket);
  if (HTTP_ANSWER.test(line ?? '')) return undefined;
  // Servers of earlier versions do not know the question; a hung server does not answer it.
  return line === STARTING ? STARTING : HELD;
}

/** The server's answer to the question about its state. */
async function answerOf(socket: Socket): Promise<string | undefined> {
  socket.on('error', () => socket.destroy());
  // A web server reads the line as the start of a request, and waits for more unless the next line is empty.
  socket.write(`${STATE}\n\n`);
  const line = await firstLine(socket);
  socket.destroy();
  return line;
}

function tryRemove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Another starting server has removed it.
  }
}

/** Reads one line, runs the order in it, and reports the result. */
async function serve(socket: Socket, orders: Orders | undefined, state: () => string): Promise<void> {
  socket.unref();
  socket.on('error', () => socket.destroy());
  const order = await firstLine(socket);
  if (order === STATE) {
    socket.end(`${state()}\n`);
    return;
  }
  if (order === undefined || orders === undefined || !Object.hasOwn(orders, order)) {
    socket.destroy();
    return;
  }
  const tell = (line: string) => void socket.write(`${line}\n`);
  try {
    await orders[order as keyof Orders](tell);
    socket.end(`${DONE}\n`);
  } catch (error) {
    socket.end(`${FAILED}${(error as Error).message}\n`);
  }
}

/** Undefined if no line arrives in time, or it is too long. */
function firstLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => resolve(undefined), TIMEOUT_MS);
    const finish = (line: string | undefined) => {
      clearTimeout(timer);
      socket.off('data', read).resume();
      resolve(line);
    };
    const read = (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (text.includes('\n')) finish(text.split('\n')[0]);
      else if (text.length > MAX_LINE) finish(undefined);
    };
    socket.on('data', read);
    socket.once('close', () => finish(undefined));
  });
}

/** Sends an order to the server of a data folder. Throws an Error whose message is one line. */
export async function askLockHolder(folder: string, order: keyof Orders, tell: (line: string) => void): Promise<void> {
  if (!existsSync(folder)) throw noServerError(folder);
  const opened = openFolder(folder);
  try {
    await sendOrder(await connectToHolder(opened.path, folder), order, tell);
  } finally {
    opened.close();
  }
}

/** Connects to the server that has locked a folder. */
async function connectToHolder(path: string, folder: string): Promise<Socket> {
  for (const name of namesIn(path)) {
    const file = join(path, name);
    const asked = await connected(file);
    if (!asked || HTTP_ANSWER.test((await answerOf(asked)) ?? '')) continue;
    const socket = await connected(file);
    if (socket) return socket;
  }
  throw noServerError(folder);
}

/** Undefined if it is the socket of a dead server. */
async function connected(path: string): Promise<Socket | undefined> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return socket;
  } catch {
    return undefined;
  }
}

function noServerError(folder: string): Error {
  return new Error(`no server is running in ${folder}; set another folder with --data`);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => SOCKET_NAME.test(name));
  } catch {
    return [];
  }
}

async function sendOrder(socket: Socket, order: keyof Orders, tell: (line: string) => void): Promise<void> {
  socket.write(`${order}\n`);
  for await (const line of createInterface({ input: socket })) {
    if (line === DONE) return;
    if (line.startsWith(FAILED)) throw new Error(line.slice(FAILED.length));
    tell(line);
  }
  throw new Error('the server stopped before it was done');
}
