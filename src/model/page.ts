/** What a page is called: a path of its site. */
import { MAX_TEXT, utf8Length } from './text.ts';

/** Bytes that UTF-8 needs at most for one UTF-16 unit. */
const MAX_UTF8 = 3;
const PAGE = /^\/[^\p{Cc}\p{Cs}]*$/u;

/** True for a path from `/` on, without control characters and at most as long as a frame's. */
export function isPage(text: string): boolean {
  if (text.length > MAX_TEXT.page || !PAGE.test(text)) return false;
  // To count its bytes costs more than all else, and few need it.
  return MAX_UTF8 * text.length <= MAX_TEXT.page || utf8Length(text) <= MAX_TEXT.page;
}
