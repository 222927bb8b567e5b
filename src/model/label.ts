/**
 * Texts for people on one line: names of sites and tokens, and labels of badges.
 *
 * Some format characters are part of words: joiners and breaks (U+00AD, U+180E, U+200B to U+200D, U+2060), marks of
 * direction for one character (U+061C, U+200E, U+200F), signs that can be seen (PREPENDED), the layout of hieroglyphs
 * and shorthand, and tags of flags (U+E0020 to U+E007F). Unassigned characters may be emoji that are newer than this
 * Node. Controls, line and paragraph separators, private characters and all other format characters are refused. Some
 * of these turn the direction of the text around them.
 */
const PREPENDED = '\\u0600-\\u0605\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u{110bd}\\u{110cd}';
const FORMAT =
  '\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2060\\u{13430}-\\u{1343f}\\u{1bca0}-\\u{1bca3}\\u{e0020}-\\u{e007f}';
const UNASSIGNED = '(?!\\p{NChar}|\\p{DI})\\p{Cn}';
const ALLOWED = `(?:[^\\p{C}\\p{Zl}\\p{Zp}]|[${PREPENDED}${FORMAT}]|${UNASSIGNED})`;
/** Letters and symbols that are blank: fillers (\p{DI}), the empty Braille cell, blanks of hieroglyphs and of music. */
const BLANK = '\\p{DI}|[\\u2800\\u{13441}\\u{13442}\\u{1d159}]';
/** A label has something visible: more than spaces, marks and format characters. */
const VISIBLE = `(?:(?!${BLANK})[\\p{L}\\p{N}\\p{P}\\p{S}${PREPENDED}]|${UNASSIGNED})`;

/** For JSON schemas and `new RegExp(LABEL, 'u')`. Bound the length first: the time grows with the square of it. */
export const LABEL = `^${ALLOWED}*?${VISIBLE}${ALLOWED}*$`;

/** Together these match the same texts as LABEL, in linear time. */
const ALL_ALLOWED = new RegExp(`^${ALLOWED}*$`, 'u');
const SOME_VISIBLE = new RegExp(VISIBLE, 'u');

/** UTF-16 units that one visible character may take on average. The emoji of a family of four takes 11. */
const MAX_UNITS = 16;

/** Returns the maximum number of UTF-16 units of a label of `limit` visible characters. */
export function maxUnits(limit: number): number {
  return limit * MAX_UNITS;
}

/** Returns true for a text of 1 to `limit` visible characters. */
export function isLabel(text: string, limit: number): boolean {
  return (
    text.length <= maxUnits(limit) &&
    ALL_ALLOWED.test(text) &&
    SOME_VISIBLE.test(text) &&
    charactersOf(text).length <= limit
  );
}

/** Returns the text in normal form, whatever keyboard it came from, and without spaces at its ends. */
export function tidy(text: string): string {
  return text.normalize('NFC').trim();
}

const GRAPHEMES = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** Returns the characters as readers see them: each with its marks, or several joined emoji. */
export function charactersOf(text: string): readonly string[] {
  // Fast path: most labels have only such characters, and a segmenter is slow.
  if (/^[ -~\u00ae-\u024f]*$/.test(text)) return [...text];
  return Array.from(GRAPHEMES.segment(text), ({ segment }) => segment).filter((one) => !/^\p{DI}+$/u.test(one));
}
