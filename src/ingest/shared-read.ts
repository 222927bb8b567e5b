/**
 * Reads many sockets into one buffer. Node's streams make a buffer for each read, put it into a queue and tell of it; for a
 * visitor's small frames that is much of the cost. A socket made with `onread` has none of that.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Duplex } from 'node:stream';

/** As much as libuv reads at once. A read is over before the next begins, so that one is enough. */
const BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** An accepted connection's, which Node has no public name for. */
type Handle = NonNullable<unknown>;
type WithHandle = Duplex & { _handle?: Handle | null };

/** Whoever reads a socket. */
export interface Sink {
  /** Takes what has come: `bytes` from 0 to `length`, good for the call only. */
  read(bytes: Buffer, length: number): void;
}

export interface Reopened {
  socket: Socket;
  /** What the old socket had read and nobody had taken. */
  rest: Buffer;
}

/**
 * Moves a connection to a new socket, whose bytes go to `sink` and not to its `data` event; everything else about it is
 * as usual. The old one is closed without closing the connection, which its server then counts and waits for no more. Undefined
 * if there is no connection to move: then nothing has happened.
 */
export function reopen(old: Duplex, sink: Sink): Reopened | undefined {
  const { _handle: handle } = old as WithHandle;
  if (!handle || old.destroyed || old.readableEnded) return undefined;
  const rest = Buffer.concat(unread(old));
  (old as WithHandle)._handle = null;
  const options: SocketConstructorOpts & { handle: Handle; onread: OnReadOpts } = {
    handle,
    onread: {
      buffer: BUFFER,
      callback: (length) => {
        sink.read(BUFFER, length);
        return true;
      },
    },
  };
  const socket = new Socket(options);
  old.destroy();
  return { socket, rest };
}

function unread(socket: Duplex): Buffer[] {
  const chunks: Buffer[] = [];
  for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) chunks.push(chunk as Buffer);
  return chunks;
}
