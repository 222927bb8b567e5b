import cluster from 'node:cluster';
import type { Socket } from 'node:net';
import { killSelf } from '../lib/kill-self.ts';
import { isToWorker, type ToPrimary, type ToWorker } from '../protocol/ipc.ts';

/** A worker's end of the IPC channel. */
export interface IpcChannel {
  /** `taken` is called when the operating system has accepted the message, or the channel is closed. */
  send(message: ToPrimary, taken?: () => void): void;
  /** Sends a message together with a socket, which then belongs to the primary. */
  hand(message: ToPrimary, socket: Socket): void;
  /**
   * From now on `onMessage` is called with each message of our primary. `onEnd` is called if the primary has already
   * exited.
   */
  listen(onMessage: (message: ToWorker) => void, onEnd: () => void): void;
}

/**
 * Opens this worker's end. A message that arrives before `listen` is lost: cluster has a listener of its own, so Node
 * does not buffer it.
 */
export function openIpcChannel(): IpcChannel {
  // The primary has exited. Node's own listener would call exit, which may never end during a write to the store.
  process.prependListener('disconnect', killSelf);
  cluster.worker?.on('error', killSelfIfOrphaned);
  return {
    send(message, taken) {
      if (!process.connected) taken?.();
      else process.send?.(message, undefined, undefined, () => taken?.());
    },
    hand(message, socket) {
      // Not while the request is still being parsed: Node would list its parser again, without a socket, and closing
      // the server would then throw.
      setImmediate(() => handOver(message, socket));
    },
    listen(onMessage, onEnd) {
      process.on('message', (message: unknown) => {
        if (isToWorker(message)) onMessage(message);
      });
      if (!process.connected) onEnd();
    },
  };
}

/** Error codes of a message that cannot be sent because the primary has exited. */
const CLOSED_CODES: ReadonlySet<string> = new Set([
  'EPIPE',
  'ECONNRESET',
  'ERR_IPC_CHANNEL_CLOSED',
  'ERR_IPC_DISCONNECTED',
]);

/**
 * Node's own messages, such as a request for an address to listen on, may fail before the channel is known to be
 * closed. That is not an error of ours.
 */
function killSelfIfOrphaned(error: NodeJS.ErrnoException): void {
  if (!CLOSED_CODES.has(error.code ?? '')) throw error;
  killSelf();
}

function handOver(message: ToPrimary, socket: Socket): void {
  detachFromServer(socket);
  if (process.connected && !socket.destroyed) process.send?.(message, socket, undefined, () => socket.destroy());
  else socket.destroy();
}

/**
 * Node tracks sockets that a server hands to another process, and a server's close() then waits for the other process
 * to close them. Streams outlive this worker on purpose, so tracking must not start: Node tracks only sockets with a
 * `server`.
 */
function detachFromServer(socket: Socket): void {
  (socket as Socket & { server?: unknown }).server = null;
}
