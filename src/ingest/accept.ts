import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import { FrameReader, type Taker } from './frame-reader.ts';
import { reopen } from './shared-read.ts';

const NOTHING = Buffer.alloc(0);

export interface Upgrade {
  request: IncomingMessage;
  socket: Duplex;
  /** Bytes that arrived right after the request. */
  head: Buffer;
}

export interface Opening {
  /** The connection has a new socket, which replaces the old one from now on. */
  moved(old: Duplex, fresh: Socket): void;
  /** Called with the WebSocket; returns the receiver of its frames. */
  open(webSocket: WebSocket): Taker;
  /** The handshake failed: ws has responded, or the connection is closed. */
  refused(): void;
}

/** Completes a WebSocket's handshake. Whole frames of the connection are read here, everything else by `server`. */
export function acceptWebSocket(
  server: WebSocketServer,
  { request, socket, head }: Upgrade,
  maxPayload: number,
  { moved, open, refused }: Opening,
): void {
  const frames = new FrameReader(maxPayload);
  const reopened = reopen(socket, frames);
  if (!reopened) {
    socket.destroy();
    refused();
    return;
  }
  const { socket: fresh, rest } = reopened;
  moved(socket, fresh);
  const release = guard(fresh, refused);
  server.handleUpgrade(request, fresh, NOTHING, (webSocket) => {
    release();
    frames.open(fresh, open(webSocket));
    const early = Buffer.concat([head, rest]);
    frames.read(early, early.length);
  });
}

/** Handles errors and the end of a socket until ws takes over. */
function guard(socket: Socket, refused: () => void): () => void {
  const destroy = () => socket.destroy();
  socket.on('error', destroy).once('close', refused);
  return () => socket.off('error', destroy).off('close', refused);
}
