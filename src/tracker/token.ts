/**
 * The resume token in sessionStorage, which ends with the tab: the next page in this tab is the same visitor.
 * Storage may be forbidden; then each page is a visitor of its own.
 */
import { attempt, guard } from './guard.ts';
import { TOKEN_KEY } from './limits.ts';

let key = '';

/**
 * Sets whose token it is. Pages and frames of one origin share the storage of a tab: each site has a token of its own, and so
 * has each frame, by its place among the frames.
 */
export const keepFor = guard((site: string) => {
  key = TOKEN_KEY + site;
  for (let frame: Window = window; frame !== top; frame = frame.parent)
    key += Array.prototype.indexOf.call(frame.parent, frame);
});

/** Empty if there is none. */
export function loadToken(): string {
  return attempt(() => sessionStorage[key]) ?? '';
}

/** Keeps the token; an empty one is removed. */
export const saveToken = guard((token: string) => {
  if (token) sessionStorage[key] = token;
  else delete sessionStorage[key];
});
