/** Messages from the server to a visitor, one JSON text each, in both subprotocols. */

/** Answer to hello: the visitor's identity, and what the server already has. */
export interface HelloReply {
  type: 'hello';
  /** 128 random bits, base64url. */
  visitor: string;
  /** Proves on a reconnect that this tab is that visitor. Opaque, signed, renewed at every hello. */
  token: string;
  /** Frames up to this number need not be sent again. Frames of a newly loaded page are numbered from here. */
  n: number;
  /** How often to send a frame, milliseconds. */
  flushMs: number;
  /** Minimum time between two pointer samples, milliseconds. */
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

/** The names of the WebSocket subprotocols (`Sec-WebSocket-Protocol`). */
export const SUBPROTOCOL = { binary: 'fieldmouse.v1', json: 'json' } as const;
