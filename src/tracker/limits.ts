/** Times and limits of the tracker. This file imports nothing: only then does the bundler inline the numbers. */

/** Maximum time until the answer to a hello or a frame, milliseconds. */
export const PATIENCE_MS = 10_000;
/** Delay before the first retry, milliseconds. It doubles with each retry, up to the maximum. */
export const MIN_DELAY_MS = 250;
export const MAX_DELAY_MS = 30_000;
/** Every third attempt in a row uses POST, because WebSockets may be blocked. */
export const ROUND = 3;
/** Time between two POSTs, milliseconds, and the number of such intervals between the POSTs of an idle page. */
export const POST_MS = 500;
export const IDLE_POSTS = 8;
/** Code of protocol/close.ts: this tab was duplicated, and the other tab continues as this visitor. */
export const TAKEN_OVER = 4409;

/**
 * Room of a frame, and room that each sample takes in addition to its bytes. That allows at most 64 samples, which is
 * one second of pointer moves, and about 5,000 bytes. Servers read frames of up to 16,384 bytes.
 */
export const FRAME_ROOM = 4000;
export const SAMPLE_ROOM = 63;
/** Maximum number of frames that were sent but not acked. They are stored to be sent again. */
export const WINDOW = 100;
/** Maximum number of waiting samples. With a full window of usual frames, they fit into a beacon of 64 KB. */
export const MAX_WAITING = 1500;
/** Maximum size of the frames in a beacon, bytes. Browsers refuse 64 KiB; the rest is for the hello. */
export const BEACON_BYTES = 60_000;

/** Minimum time between two measurements of the document, milliseconds. Each may cause a layout. */
export const SIZE_MS = 2_000;

/** Prefix of the keys in sessionStorage that hold resume tokens. */
export const TOKEN_KEY = 'fieldmouse';
