/** How many pages of a site are counted, and what they are called. */

/** Different pages of one site; what is beyond counts as one further page. */
export const MAX_PAGES = 20_000;
export const OTHER_PAGES = '(other pages)';

/** A name as it can be in a key: NUL parts those. */
export function countedName(text: string): string {
  return text.replaceAll('\0', ' ');
}
