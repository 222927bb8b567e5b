/** Ports that stay free until they are used, for what cannot listen on port 0, or is started again on the same port. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Linux gives connections and servers on port 0 a port from 32768 on. A port below that stays free until it is used.
 * Browsers refuse to visit some ports below 20000.
 */
const [LOWEST, HIGHEST] = [20_000, 32_767];

/** A port that nobody listens on, of 127.0.0.1 or another `host`. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1));
    if (await isFree(port, host)) return port;
  }
}

/** The same as `--listen` takes it. */
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
