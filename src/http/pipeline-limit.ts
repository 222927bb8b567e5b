/**
 * Limits the pipelined requests of one connection: each takes some kilobytes. Only a few of them are handled at a time,
 * because their responses are sent in order anyway. So a client that reads no responses causes little work.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { getOrInsert } from '../lib/get-or-insert.ts';

/**
 * How to treat a request: answer it, refuse it as the first one above the limit, or ignore it because it comes after
 * that one.
 */
export type PipelinePlace = 'taken' | 'too-many' | 'late';

/** A connection's parser, for which Node has no public name. It calls `onIncoming` at the end of each head. */
type Parsed = Socket & { parser?: { onIncoming?: () => number } | null };
/** The return value of `onIncoming` for an upgrade: then the parser does not read the bytes behind the head. */
const LEAVE_REST = 2;

/** The requests of one connection whose responses are not complete. */
interface Line {
  length: number;
  /** Starts those that are not being handled yet, in order. */
  waiting: (() => void)[];
}

export class PipelineLimit {
  readonly #most: number;
  readonly #mostHandled: number;
  readonly #lines = new WeakMap<Socket, Line>();

  /** `most`: maximum number of requests of a connection. `mostHandled`: how many of them are handled at a time. */
  constructor(most: number, mostHandled: number) {
    this.#most = most;
    this.#mostHandled = mostHandled;
  }

  /** Counts a request until its response closes. Nothing more is read after the first request above the limit. */
  enter({ socket }: IncomingMessage, response: ServerResponse): PipelinePlace {
    const line = this.#lineOf(socket);
    line.length += 1;
    response.once('close', () => {
      line.length -= 1;
      if (!socket.destroyed) line.waiting.shift()?.();
    });
    if (line.length <= this.#most) return 'taken';
    if (line.length > this.#most + 1) return 'late';
    stopReading(socket);
    return 'too-many';
  }

  #lineOf(socket: Socket): Line {
    return getOrInsert(this.#lines, socket, () => ({ length: 0, waiting: [] }));
  }

  /** Calls `handle` once it is the turn of a taken request; never if the connection ends first. */
  whenItsTurn({ socket }: IncomingMessage, handle: () => void): void {
    const { length, waiting } = this.#lineOf(socket);
    if (length - waiting.length <= this.#mostHandled) handle();
    else waiting.push(handle);
  }
}

/** Pausing the socket is not enough: Node has already read up to 64 KB, which may be thousands of requests. */
function stopReading(socket: Socket): void {
  const { parser } = socket as Parsed;
  if (parser) parser.onIncoming = () => LEAVE_REST;
  socket.pause();
}
