/** Where the server listens: opening, naming, and what may go wrong. */
import { lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import type { Address } from './config.ts';

/** Why an address cannot be listened on. `message` is one line for people. */
export class ListenError extends Error {
  /** Node's, as EADDRINUSE. */
  readonly code: string;

  constructor(error: NodeJS.ErrnoException, address: Address) {
    super(faultText(error, address));
    this.name = 'ListenError';
    this.code = error.code ?? 'unknown';
  }
}

/** Starts listening. Resolves with the address as a URL; rejects with ListenError. */
export function listen(server: Server, address: Address): Promise<string> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(new ListenError(error, address));
    server.once('error', onError);
    server.listen(address.kind === 'tcp' ? { host: address.host, port: address.port } : { path: address.path }, () => {
      server.off('error', onError);
      const bound = server.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
      resolve(addressText(address.kind === 'tcp' ? { ...address, port } : address));
    });
  });
}

export function addressText(address: Address): string {
  if (address.kind === 'path') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `tcp://${host}:${address.port}`;
}

/** An address as something to open in a browser, or undefined for a path. */
export function browseUrl(text: string): string | undefined {
  const tcp = /^tcp:\/\/(.+):(\d+)$/.exec(text);
  if (!tcp) return undefined;
  const host = tcp[1] === '0.0.0.0' || tcp[1] === '[::]' ? 'localhost' : tcp[1];
  return `http://${host}:${tcp[2]}`;
}

/**
 * Removes the file of a Unix socket that no process listens on any more: a killed server leaves it behind.
 * Throws ListenError if a file of another kind is there.
 */
export async function removeStaleSocket(address: Address): Promise<void> {
  if (address.kind !== 'path' || process.platform === 'win32') return;
  const file = lstatSync(address.path, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) throw new ListenError(Object.assign(new Error(), { code: 'EEXIST' }), address);
  const refused = await new Promise<boolean>((resolve) => {
    const probe = connect(address.path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
  if (!refused) return;
  try {
    unlinkSync(address.path);
  } catch (error) {
    throw new ListenError(error as NodeJS.ErrnoException, address);
  }
}

function faultText(error: NodeJS.ErrnoException, address: Address): string {
  const where = addressText(address);
  switch (error.code) {
    case 'EADDRINUSE':
      return `${where} is in use by another program; choose another with --listen`;
    case 'EACCES':
      return `${where} may not be used by this user; choose a port above 1023 or another path with --listen`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${where} is not an address of this machine; choose another with --listen`;
    case 'EEXIST':
      return `${where}: there is a file of another kind; choose another path with --listen`;
    case 'ENOENT':
      return `${where}: there is no such folder; choose another with --listen`;
    default:
      return `cannot listen on ${where}: ${error.message}`;
  }
}
