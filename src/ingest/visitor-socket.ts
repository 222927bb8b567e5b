/**
 * A visitor's WebSocket. All sockets share the same listeners, which find the owner through the socket: a closure per
 * socket and event would cost each idle visitor half a kilobyte.
 */
import { type RawData, WebSocket } from 'ws';

/** Hears of everything that happens on a socket. */
export interface SocketOwner {
  /** A message: `bytes` from `from` to `to`, valid for the call only. */
  take(bytes: Buffer, from: number, to: number, isBinary: boolean): void;
  /** A ping or a pong. */
  takeControl(): void;
  /** A protocol error (too large, not UTF-8, bad opcode). ws closes the connection with the right code. */
  socketFailed(): void;
  /** The connection is closed. Called once. */
  socketClosed(code: number): void;
}

export class VisitorSocket extends WebSocket {
  owner: SocketOwner | undefined;

  /** From now on `owner` hears of the socket's events. */
  attach(owner: SocketOwner): void {
    this.owner = owner;
    this.on('message', onMessage).on('ping', onControl).on('pong', onControl);
    this.on('error', onError).on('close', onClose);
  }
}

function ownerOf(socket: WebSocket): SocketOwner | undefined {
  return (socket as VisitorSocket).owner;
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  // With its default `binaryType` ws gives every message as one Buffer.
  const bytes = data as Buffer;
  ownerOf(this)?.take(bytes, 0, bytes.length, isBinary);
}

function onControl(this: WebSocket): void {
  ownerOf(this)?.takeControl();
}

function onError(this: WebSocket): void {
  ownerOf(this)?.socketFailed();
}

function onClose(this: WebSocket, code: number): void {
  ownerOf(this)?.socketClosed(code);
}
