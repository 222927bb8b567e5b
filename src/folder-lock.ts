/** One server to a data folder: two would each show only their own visitors. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { removeStaleSocket } from './listen.ts';

/** Paths of Unix sockets must be short (108 bytes on Linux, 104 elsewhere). */
const MAX_PATH = 100;

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
 * go. Throws FolderInUse. Where a socket cannot be made (a very long path, Windows) nothing is held.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const path = join(folder, 'server.sock');
  if (process.platform === 'win32' || Buffer.byteLength(path) > MAX_PATH) return () => {};
  await removeStaleSocket({ kind: 'path', path });
  const server = createServer((socket) => socket.destroy());
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
