/** Limits the pipelined requests of one connection: each takes some kilobytes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * How to treat a request: answer it, refuse it as the first one above the limit, or ignore it because it comes after
 * that one.
 */
export type PipelinePlace = 'taken' | 'too-many' | 'late';

/** A connection's parser, for which Node has no public name. It calls `onIncoming` at the end of each head. */
type Parsed = Socket & { parser?: { onIncoming?: () => number } | null };
/** The return value of `onIncoming` for an upgrade: then the parser does not read the bytes behind the head. */
const LEAVE_REST = 2;

export class PipelineLimit {
  readonly #most: number;
  readonly #waiting = new WeakMap<Socket, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Counts a request until its response closes. Nothing more is read after the first request above the limit. */
  enter({ socket }: IncomingMessage, response: ServerResponse): PipelinePlace {
    const waiting = this.#add(socket, 1);
    response.once('close', () => this.#add(socket, -1));
    if (waiting <= this.#most) return 'taken';
    if (waiting > this.#most + 1) return 'late';
    stopReading(socket);
    return 'too-many';
  }

  #add(socket: Socket, by: number): number {
    const waiting = (this.#waiting.get(socket) ?? 0) + by;
    this.#waiting.set(socket, waiting);
    return waiting;
  }
}

/** Pausing the socket is not enough: Node has already read up to 64 KB, which may be thousands of requests. */
function stopReading(socket: Socket): void {
  const { parser } = socket as Parsed;
  if (parser) parser.onIncoming = () => LEAVE_REST;
  socket.pause();
}
