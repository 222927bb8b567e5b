/** Ports that stay free until used, for programs that cannot listen on port 0 or restart on the same port. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Linux assigns ports from 32768 on to connections and to servers on port 0, so a lower port stays free until it is
 * used. Browsers refuse some ports below 20000.
 */
const [LOWEST, HIGHEST] = [20_000, 32_767];

/** Returns a port of 127.0.0.1, or of another `host`, on which nobody listens. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (await isFree(port, host)) return port;
  }
}

/** Returns such a port in the form of `--listen`. */
export async function freeAddress(): Promise<string> {
  return `tcp://127.0.0.1:${await freePort()}`;
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
