/** Limits that the visitor script and the server share. The script bundles this module, and not the decoder. */

/** Highest page pixel that a frame may name. Real pages end well below. */
export const MAX_COORDINATE = 10_000_000;
/** Element-relative click positions run from 0 (left, top) to this (right, bottom). */
export const ELEMENT_SCALE = 32_767;
