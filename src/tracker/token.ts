/**
 * The resume token, and its copy in sessionStorage, which makes the next page of this tab the same visitor. If storage
 * is forbidden, each page is a visitor of its own.
 */
import { attempt } from './guard.ts';
import { TOKEN_KEY } from './limits.ts';

/** The resume token, or an empty string. */
export let token = '';
let key = '';

/**
 * Sets the site of the token. Pages and frames of one origin share the storage of a tab, so the key has the site and
 * the position of the frame.
 */
export function keepFor(site: string): void {
  key = TOKEN_KEY + site;
  // May throw: a page may have a variable named `parent`.
  attempt(() => {
    for (let frame: Window = window; frame !== top; frame = frame.parent)
      key += Array.prototype.indexOf.call(frame.parent, frame);
  });
}

/** Reads the stored token: another page of the tab may have received a new one. */
export function loadToken(): void {
  token = attempt(() => sessionStorage[key]) || token;
}

/** Stores the token. An empty token removes the stored one. */
export function remember(given: string): void {
  token = given;
  attempt(() => {
    if (token) sessionStorage[key] = token;
    else delete sessionStorage[key];
  });
}
