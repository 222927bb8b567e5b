/** The maximum number of counted pages per site, and their names. */

/** Maximum number of different pages of one site. All others are counted as one further page. */
export const MAX_PAGES = 20_000;
export const OTHER_PAGES = '(other pages)';

/** Returns a page's name in the form used in keys, where NUL is the separator. */
export function countedName(text: string): string {
  return text.replaceAll('\0', ' ');
}
