/** A page is named by its path on the site. */
import { MAX_TEXT, utf8Length } from './text.ts';

/** Maximum number of UTF-8 bytes per UTF-16 unit. */
const MAX_UTF8 = 3;
const PAGE = /^\/[^\p{Cc}\p{Cs}]*$/u;

/** Returns true for a path that starts with `/`, has no control characters, and is no longer than in a frame. */
export function isPage(text: string): boolean {
  if (text.length > MAX_TEXT.page || !PAGE.test(text)) return false;
  // Counting bytes is the slowest part, and few paths need it.
  return MAX_UTF8 * text.length <= MAX_TEXT.page || utf8Length(text) <= MAX_TEXT.page;
}
