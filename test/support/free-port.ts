/** Ports that stay free until they are used, for what cannot listen on port 0, or is started again on the same port. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that systems give to connections and to servers on port 0 (from 32768 on Linux), so that nobody else gets one
 * between now and its use. Above those that browsers refuse to visit.
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
