/** Listening: opens addresses, names them, and explains errors. */
import { randomBytes } from 'node:crypto';
import { linkSync, lstatSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { connect, isIPv4, isIPv6, type ListenOptions, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { type Address, MAX_SOCKET_PATH } from '../config/config.ts';

/** Why the server cannot listen on an address. `message` is one line for people. */
export class ListenError extends Error {
  /** Node's code, such as EADDRINUSE. */
  readonly code: string;

  /** `all` as for `listen`. */
  constructor(error: NodeJS.ErrnoException, address: Address, all: readonly Address[] = []) {
    super(faultText(error, address, all));
    this.name = 'ListenError';
    this.code = error.code ?? 'unknown';
  }
}

/**
 * Starts listening. `all` are the addresses that this process listens on. Resolves with the address as a URL; rejects
 * with ListenError.
 */
export function listen(server: Server, address: Address, all: readonly Address[] = []): Promise<string> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(new ListenError(error, address, all));
    server.once('error', onError);
    server.listen(optionsOf(address, all), () => {
      server.off('error', onError);
      const bound = server.address();
      const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
      resolve(addressText(address.kind === 'tcp' ? { ...address, port } : address));
    });
  });
}

function optionsOf(address: Address, all: readonly Address[]): ListenOptions {
  if (address.kind === 'path') return { path: address.path };
  const { host, port } = address;
  // All IPv6 addresses include all of IPv4 by default; then another address would find the port in use.
  const isShared = isIPv6(host) && all.some((one) => one.kind === 'tcp' && one.port === port && isIPv4(one.host));
  return { host, port, ...(isShared && { ipv6Only: true }) };
}

export function addressText(address: Address): string {
  if (address.kind === 'path') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `tcp://${host}:${address.port}`;
}

/** The URL for a browser, with the base path if there is one; undefined for the path of a socket. */
export function browseUrl(text: string): string | undefined {
  const tcp = /^tcp:\/\/(.+):(\d+)(\/.*)?$/.exec(text);
  if (!tcp) return undefined;
  const host = tcp[1] === '0.0.0.0' || tcp[1] === '[::]' ? 'localhost' : tcp[1];
  return `http://${host}:${tcp[2]}${tcp[3] ?? ''}`;
}

/**
 * Removes the file of a Unix socket on which no process listens: a killed server leaves it behind. Throws ListenError
 * if a file of another kind is there.
 */
export async function removeStaleSocket(address: Address): Promise<void> {
  if (address.kind !== 'path' || process.platform === 'win32') return;
  const file = lstatSync(address.path, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) throw new ListenError(Object.assign(new Error(), { code: 'EEXIST' }), address);
  // A hard link keeps the inode from being reused for another socket meanwhile.
  const link = temporaryPath(address.path);
  try {
    linkSync(address.path, link);
    if (!(await accepts(link))) unlinkIfSame(address.path, lstatSync(link).ino);
  } catch (error) {
    // Another starting server has removed it.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new ListenError(error as NodeJS.ErrnoException, address);
  } finally {
    rmSync(link, { force: true });
  }
}

/** A new name beside a socket's. It must not be too long for a socket, either, so it may be shorter. */
function temporaryPath(path: string): string {
  const random = randomBytes(4).toString('hex');
  const long = `${path}.${random}`;
  return Buffer.byteLength(long) <= MAX_SOCKET_PATH
    ? long
    : join(dirname(path), random.slice(0, Math.max(4, Buffer.byteLength(basename(path)))));
}

/** Removes the socket with this inode. Another starting server may have put its own there meanwhile, which stays. */
function unlinkIfSame(path: string, ino: number): void {
  if (lstatSync(path).ino !== ino) return;
  const moved = temporaryPath(path);
  renameSync(path, moved);
  if (lstatSync(moved).ino !== ino) linkSync(moved, path);
  unlinkSync(moved);
}

/** False for a socket on which no process listens. */
function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

/** Another of our addresses with the same port, which may be the reason for the error. */
function conflictOf(address: Address, all: readonly Address[]): Address | undefined {
  if (address.kind !== 'tcp' || address.port === 0) return undefined;
  return all.find((one) => one !== address && one.kind === 'tcp' && one.port === address.port);
}

function faultText(error: NodeJS.ErrnoException, address: Address, all: readonly Address[]): string {
  const text = addressText(address);
  const conflict = conflictOf(address, all);
  switch (error.code) {
    case 'EADDRINUSE':
      if (conflict)
        return (
          `${text} cannot be used together with ${addressText(conflict)}, or is in use by another program; 0.0.0.0 ` +
          'and [::] cover all addresses of their family'
        );
      return `${text} is in use by another program; choose another with --listen`;
    case 'EACCES':
      return `${text} is not permitted for this user; choose a port above 1023 or another path with --listen`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${text} is not an address of this machine; choose another with --listen`;
    case 'EEXIST':
      return `${text}: a file that is not a socket exists there; choose another path with --listen`;
    case 'ENOENT':
      return `${text}: the folder does not exist; choose another with --listen`;
    default:
      return `cannot listen on ${text}: ${error.message}`;
  }
}
