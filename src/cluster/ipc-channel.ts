import cluster from 'node:cluster';
import type { Socket } from 'node:net';
import { isToWorker, type ToPrimary, type ToWorker } from '../protocol/ipc.ts';

/** A worker's end of the IPC channel. */
export interface IpcChannel {
  /** `taken` is called when the operating system has the message, or the channel is gone. */
  send(message: ToPrimary, taken?: () => void): void;
  /** Sends a message together with a socket, which then belongs to the primary. */
  hand(message: ToPrimary, socket: Socket): void;
  /** From now on `onMessage` gets what our primary sends; `onEnd` is called if the primary is gone already. */
  listen(onMessage: (message: ToWorker) => void, onEnd: () => void): void;
}

/** Opens this worker's end. What arrives before `listen` is lost: cluster has a listener of its own, so Node keeps nothing. */
export function openIpcChannel(): IpcChannel {
  process.prependListener('disconnect', endAtOnce);
  cluster.worker?.on('error', endIfAlone);
  return {
    send(message, taken) {
      if (!process.connected) taken?.();
      else process.send?.(message, undefined, undefined, () => taken?.());
    },
    hand(message, socket) {
      // Not while the request is still being parsed: Node would list its parser again, without a socket, and
      // closing the server would then throw.
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

/**
 * The primary is gone. Node's own listener would exit, which stops the archive's thread and waits for it. If that
 * thread is in the middle of a write, LMDB's cleanup waits for a lock of the same thread, for ever. The system frees
 * the locks of a process that is killed.
 */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Codes of what cannot be sent since the primary is gone. */
const GONE: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'ERR_IPC_CHANNEL_CLOSED', 'ERR_IPC_DISCONNECTED']);

/**
 * Node's own messages, as for an address to listen on, may fail before the channel is known to be closed. That is no
 * fault of ours.
 */
function endIfAlone(error: NodeJS.ErrnoException): void {
  if (!GONE.has(error.code ?? '')) throw error;
  endAtOnce();
}

function handOver(message: ToPrimary, socket: Socket): void {
  untie(socket);
  if (process.connected && !socket.destroyed) process.send?.(message, socket, undefined, () => socket.destroy());
  else socket.destroy();
}

/**
 * Node keeps an account of sockets that a server hands to another process, and a server's close() then waits
 * for the other process to close them. Streams outlive this worker on purpose, so the account must not
 * be opened: it is only for sockets with a `server`.
 */
function untie(socket: Socket): void {
  (socket as Socket & { server?: unknown }).server = null;
}
