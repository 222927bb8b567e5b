/** Bounds the requests of one connection that wait for their answers: each holds some kilobytes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** What becomes of a request: it is answered, it is the first one too many, or it comes after that one. */
export type PipelinePlace = 'taken' | 'too-many' | 'late';

/** A connection's parser, which Node has no public name for. It calls `onIncoming` at the end of each head. */
type Parsed = Socket & { parser?: { onIncoming?: () => number } | null };
/** What `onIncoming` returns for an upgrade: the parser then leaves the bytes behind the head alone. */
const LEAVE_REST = 2;

export class PipelineLimit {
  readonly #most: number;
  readonly #waiting = new WeakMap<Socket, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Counts a request until its answer closes. Behind the first one too many nothing more is read. */
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

/** A pause of the socket is not enough: Node has read up to 64 KB already, which may be thousands of requests. */
function stopReading(socket: Socket): void {
  const { parser } = socket as Parsed;
  if (parser) parser.onIncoming = () => LEAVE_REST;
  socket.pause();
}
