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

/** Samples in one frame: what a hand does in a second, some 250 bytes, far within what servers take. */
export const FRAME_SAMPLES = 64;
/** Frames sent and not acked that are kept to be sent again; where the server cannot store for long, the oldest go. */
export const WINDOW = 100;
/** Bytes on their way above which nothing more is sent for now: the way to the server is slow. */
export const MAX_ON_WAY = 16_384;
/** Samples that may wait. With a full window of usual frames they fit into a beacon, which ends at 64 KB. */
export const MAX_WAITING = 1500;
/** Frames in a beacon, bytes: browsers refuse one of 64 KiB, and the rest is for the hello. */
export const BEACON_BYTES = 58_000;
/** More bytes than there ever are. */
export const ALL = 1e9;

/** Least time between two looks at the document's size, which may cost the page a layout, milliseconds. */
export const SIZE_MS = 2_000;
/** Of protocol/frame.ts, which is not bundled. */
export const MAX_COORDINATE = 10_000_000;
export const ELEMENT_SCALE = 32_767;
export const MAX_PAGE = 1024;

/** Where the resume token is kept in sessionStorage. */
export const TOKEN_KEY = 'fieldmouse';
