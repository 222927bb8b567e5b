/**
 * One server to a data folder: two would each show only their own visitors. Who may use the folder can ask the server
 * something by the socket that holds it.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { removeStaleSocket } from './listen.ts';

/** Paths of Unix sockets must be short (108 bytes on Linux, 104 elsewhere). */
const MAX_PATH = 100;
/** Who connects has to ask within so long, milliseconds, and in one line of so many bytes. */
const ASK_MS = 2000;
const MAX_LINE = 64;
const DONE = 'done';
const FAILED = 'failed: ';

/** What a server can be asked to do. `tell` gives a line to who asks. Throws an Error whose message is one line. */
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
 * Holds the folder by listening on a socket in it: that ends with this process, however it ends. Returns how to let
 * go. Throws FolderInUse. Where a socket cannot be made (a very long path, Windows) nothing is held, and nothing can be asked.
 */
export async function lockFolder(folder: string, orders?: Orders): Promise<() => void> {
  const path = socketIn(folder);
  if (path === undefined) return () => {};
  await removeStaleSocket({ kind: 'path', path });
  const server = createServer((socket) => (orders ? void serve(socket, orders) : socket.destroy()));
  server.listen({ path });
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw new FolderInUse(folder);
    return () => {};
  }
  server.unref();
  return () => server.close();
}

function socketIn(folder: string): string | undefined {
  const path = join(folder, 'server.sock');
  return process.platform === 'win32' || Buffer.byteLength(path) > MAX_PATH ? undefined : path;
}

/** Reads one line, does what it says, and tells how that went. */
async function serve(socket: Socket, orders: Orders): Promise<void> {
  socket.unref();
  socket.on('error', () => socket.destroy());
  const order = await firstLine(socket);
  if (order === undefined || !(order in orders)) {
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

/** undefined: there is none in time, or it is too long. */
function firstLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => resolve(undefined), ASK_MS);
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

/** Asks the server of a data folder for something. Throws an Error whose message is one line. */
export async function ask(folder: string, order: keyof Orders, tell: (line: string) => void): Promise<void> {
  const path = socketIn(folder);
  if (path === undefined)
    throw new Error(`the server of ${folder} cannot be asked here: its path is too long. Send SIGHUP to its process`);
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch {
    throw new Error(`no server runs in ${folder}; --data names another folder`);
  }
  socket.write(`${order}\n`);
  for await (const line of createInterface({ input: socket })) {
    if (line === DONE) return;
    if (line.startsWith(FAILED)) throw new Error(line.slice(FAILED.length));
    tell(line);
  }
  throw new Error('the server ended meanwhile');
}
