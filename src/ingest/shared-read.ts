/**
 * Reads many sockets into one buffer. Node's streams allocate a buffer for each read, queue it and emit an event; for a
 * visitor's small frames that is a large part of the cost. A socket created with `onread` avoids it.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Duplex } from 'node:stream';

/** The size that libuv reads at once. A read is processed before the next one starts, so one buffer is enough. */
const BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** The handle of an accepted connection, for which Node has no public name. */
type Handle = NonNullable<unknown>;
type WithHandle = Duplex & { _handle?: Handle | null };

/** The receiver of a socket's bytes. */
export interface Sink {
  /** Handles received bytes: `bytes` from 0 to `length`, valid for the call only. */
  read(bytes: Buffer, length: number): void;
}

export interface Reopened {
  socket: Socket;
  /** Bytes that the old socket had read and nobody had consumed. */
  rest: Buffer;
}

/**
 * Moves a connection to a new socket, whose bytes go to `sink` instead of its `data` event; everything else works as
 * usual. The old socket is closed without closing the connection, and its server no longer counts it or waits for it.
 * Returns undefined if there is no connection to move; then nothing has changed.
 */
export function reopen(old: Duplex, sink: Sink): Reopened | undefined {
  const { _handle: handle } = old as WithHandle;
  if (!handle || old.destroyed || old.readableEnded) return undefined;
  const rest = Buffer.concat(unread(old));
  (old as WithHandle)._handle = null;
  const socket = new SharedReadSocket(handle, sink);
  old.destroy();
  return { socket, rest };
}

/** All sockets share the buffer and the callback, so that an idle one costs no closure. */
class SharedReadSocket extends Socket {
  readonly sink: Sink;

  constructor(handle: Handle, sink: Sink) {
    const options: SocketConstructorOpts & { handle: Handle; onread: OnReadOpts } = { handle, onread: ON_READ };
    super(options);
    this.sink = sink;
  }
}

const ON_READ: OnReadOpts = {
  buffer: BUFFER,
  // Node calls it as a method of the socket.
  callback(this: unknown, length: number) {
    (this as SharedReadSocket).sink.read(BUFFER, length);
    return true;
  },
};

function unread(socket: Duplex): Buffer[] {
  const chunks: Buffer[] = [];
  for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) chunks.push(chunk as Buffer);
  return chunks;
}
