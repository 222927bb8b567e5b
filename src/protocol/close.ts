/**
 * Why a server ends a visitor's WebSocket. 1xxx are codes of RFC 6455 section 7.4.1 and the IANA registry; 4xxx are
 * ours. docs/protocol.md holds the same table for readers.
 */
export const CLOSE = {
  /** The server is stopping; reconnect elsewhere or later. */
  goingAway: 1001,
  /** Invalid UTF-8 in a text frame, or text where bytes were expected. */
  badPayload: 1007,
  /** A frame above the byte limit. */
  tooBig: 1009,
  /** This worker is being replaced; reconnect at once and resume. */
  restart: 1012,
  /** The server cannot take this visitor now; reconnect later. */
  tryLater: 1013,
  /** A frame that does not decode. */
  badFrame: 4400,
  /** No hello within the time limit. */
  helloTimeout: 4408,
  /** The same visitor has connected again elsewhere; do not resume, start again. */
  takenOver: 4409,
  /** The site was removed, or no longer allows this origin. */
  siteGone: 4410,
  /** Exceeded the frame rate for longer than the burst allows. */
  tooFast: 4429,
} as const;

export type CloseReason = keyof typeof CLOSE;
