/**
 * The resume token, and its copy in sessionStorage, which ends with the tab: the next page in this tab is the same
 * visitor. Storage may be forbidden; then each page is a visitor of its own.
 */
import { attempt } from './guard.ts';
import { TOKEN_KEY } from './limits.ts';

/** Empty if there is none. */
export let token = '';
let key = '';

/**
 * Sets whose token it is. Pages and frames of one origin share the storage of a tab: each site has a token of its own, and so
 * has each frame, by its place among the frames.
 */
export function keepFor(site: string): void {
  key = TOKEN_KEY + site;
  // A page may have a variable of its own named `parent`.
  attempt(() => {
    for (let frame: Window = window; frame !== top; frame = frame.parent)
      key += Array.prototype.indexOf.call(frame.parent, frame);
  });
}

/** Takes what is stored: another page of the tab may have been given another token. */
export function loadToken(): void {
  token = attempt(() => sessionStorage[key]) || token;
}

/** Keeps the token; an empty one is removed. */
export function remember(given: string): void {
  token = given;
  attempt(() => {
    if (token) sessionStorage[key] = token;
    else delete sessionStorage[key];
  });
}
