/**
 * shared-read.ts and frame-reader.ts rely on internals of Node. This checks at the start of a worker that they are as
 * expected, with a connection of its own.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { reopen } from './shared-read.ts';

const LIMIT_MS = 2000;
const REQUEST = 'ping';
const RESPONSE = 'pong';

/**
 * Resolves with true if a connection can be moved to a socket whose bytes are read without a stream, bytes that are
 * passed on reach its `data` event, and what is written to it arrives.
 */
export async function canShareReads(): Promise<boolean> {
  const server = createServer({ pauseOnConnect: true });
  const sockets: Socket[] = [];
  try {
    return await answersThrough(server, sockets);
  } catch {
    return false;
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

async function answersThrough(server: Server, sockets: Socket[]): Promise<boolean> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  // A worker's server would be shared with the other workers.
  server.listen({ host: '127.0.0.1', port: 0, exclusive: true });
  await once(server, 'listening', { signal });
  const address = server.address();
  if (address === null || typeof address === 'string') return false;
  const client = connect(address.port, '127.0.0.1');
  sockets.push(client);
  const [accepted] = (await once(server, 'connection', { signal })) as [Socket];
  sockets.push(accepted);
  const fresh = echo(accepted);
  if (!fresh) return false;
  sockets.push(fresh);
  client.write(REQUEST);
  const [bytes] = await once(client, 'data', { signal });
  return String(bytes) === RESPONSE;
}

/** Answers a request that comes the way of a visitor's frame which ws reads: through `read`, then as `data`. */
function echo(accepted: Socket): Socket | undefined {
  let fresh: Socket | undefined;
  let isRead = false;
  const read = (bytes: Buffer, length: number) => {
    isRead = true;
    fresh?.emit('data', Buffer.from(bytes.subarray(0, length)));
  };
  fresh = reopen(accepted, { read })?.socket;
  fresh?.on('data', (bytes) => {
    if (isRead && String(bytes) === REQUEST) fresh?.write(RESPONSE);
  });
  return fresh;
}
