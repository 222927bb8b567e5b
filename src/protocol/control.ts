/**
 * What a server says to a visitor, as one JSON text per message, in both subprotocols.
 */

/** Answer to hello: who the visitor is from now on, and what the server already has. */
export interface HelloReply {
  type: 'hello';
  /** 128 random bits, base64url. */
  visitor: string;
  /** Proves on a reconnect that this tab is that visitor. Opaque, signed, renewed at every hello. */
  token: string;
  /** Frames up to this number need not be sent again; those of a page that was just loaded are numbered from here on. */
  n: number;
  /** How often to send a frame, milliseconds. */
  flushMs: number;
  /** Least time between two pointer samples, milliseconds. */
  sampleMs: number;
}

/** Every frame up to `n` is stored and may be forgotten. */
export interface Ack {
  type: 'ack';
  n: number;
}

/** A new pace, under load or after it. */
export interface PaceMessage {
  type: 'pace';
  flushMs: number;
  sampleMs: number;
}

export type Control = HelloReply | Ack | PaceMessage;

/** The names the WebSocket subprotocols go by (`Sec-WebSocket-Protocol`). */
export const SUBPROTOCOL = { binary: 'fieldmouse.v1', json: 'json' } as const;
