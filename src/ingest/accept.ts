import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Server } from 'ws';
import { FrameReader, type Taker } from './frame-reader.ts';
import { reopen } from './shared-read.ts';
import type { VisitorSocket } from './visitor-socket.ts';

const NOTHING = Buffer.alloc(0);

export interface Upgrade {
  request: IncomingMessage;
  socket: Duplex;
  /** Bytes that arrived right after the request. */
  head: Buffer;
}

export interface Opening {
  /** The connection has become a WebSocket. `fresh` replaces its socket from now on; it may be the same. */
  moved(old: Duplex, fresh: Socket): void;
  /** Called with the WebSocket; returns the receiver of its frames. */
  open(webSocket: VisitorSocket): Taker;
}

/**
 * Completes a WebSocket's handshake. Returns false if it failed: then ws has responded, or the connection is closed.
 * `socket` has `destroyItself` as a listener.
 */
export function acceptPlain(server: Server<typeof VisitorSocket>, upgrade: Upgrade, { moved, open }: Opening): boolean {
  moved(upgrade.socket, upgrade.socket as Socket);
  return handshake(server, upgrade, open);
}

/** As `acceptPlain`. Whole frames of the connection are read here, everything else by `server`. */
export function acceptWebSocket(
  server: Server<typeof VisitorSocket>,
  { request, socket, head }: Upgrade,
  maxPayload: number,
  { moved, open }: Opening,
): boolean {
  const frames = new FrameReader(maxPayload);
  const reopened = reopen(socket, frames);
  if (!reopened) {
    socket.destroy();
    return false;
  }
  const { socket: fresh, rest } = reopened;
  moved(socket, fresh);
  fresh.on('error', destroyItself);
  return handshake(server, { request, socket: fresh, head: NOTHING }, (webSocket) => {
    frames.open(fresh, open(webSocket));
    const early = Buffer.concat([head, rest]);
    frames.read(early, early.length);
  });
}

/** ws opens the connection or refuses it before this returns. */
function handshake(
  server: Server<typeof VisitorSocket>,
  { request, socket, head }: Upgrade,
  open: (webSocket: VisitorSocket) => unknown,
): boolean {
  let isOpen = false;
  server.handleUpgrade(request, socket, head, (webSocket) => {
    isOpen = true;
    socket.off('error', destroyItself);
    open(webSocket);
  });
  return isOpen;
}

/** A listener for errors of a socket. */
export function destroyItself(this: Duplex): void {
  this.destroy();
}
