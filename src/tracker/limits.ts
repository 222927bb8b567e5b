/**
 * The tracker's times and bounds. In a file that imports nothing, since only there can the bundler put the numbers
 * in place of the names.
 */

/** How long the server may leave a hello or a frame unanswered, milliseconds. */
export const PATIENCE_MS = 10_000;
/** Delay before the first new attempt, doubled with each, and its limit, milliseconds. */
export const MIN_DELAY_MS = 250;
export const MAX_DELAY_MS = 30_000;
/** Every third attempt in a row is by POST: WebSockets may be blocked here. */
export const ROUND = 3;
/** Time between two POSTs, milliseconds, and how many such times pass before one is sent that carries nothing. */
export const POST_MS = 500;
export const IDLE_POSTS = 8;
/** Of protocol/close.ts: this tab was duplicated, and the other one goes on as the visitor. */
export const TAKEN_OVER = 4409;

/**
 * A frame takes samples while it has room, and each takes at least so much of it. That is at most 64 samples, what a
 * hand does in a second, and at most some 5,000 bytes, of the 16,384 that servers read.
 */
export const FRAME_ROOM = 4000;
export const SAMPLE_ROOM = 63;
/** Frames sent and not acked that are kept to be sent again; where the server cannot store for long, the oldest go. */
export const WINDOW = 100;
/** Samples that may wait. With a full window of usual frames they fit into a beacon, which ends at 64 KB. */
export const MAX_WAITING = 1500;
/** Frames in a beacon, bytes: browsers refuse one of 64 KiB, and the rest is for the hello. */
export const BEACON_BYTES = 60_000;
/** More bytes than there ever are. */
export const ALL = 1e9;

/** Least time between two looks at the document's size, which may cost the page a layout, milliseconds. */
export const SIZE_MS = 2_000;
/** Of protocol/frame.ts, which is not bundled. */
export const MAX_COORDINATE = 10_000_000;
export const ELEMENT_SCALE = 32_767;

/** Where the resume token is kept in sessionStorage. */
export const TOKEN_KEY = 'fieldmouse';
