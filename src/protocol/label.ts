/**
 * Texts for people on one line: names of sites and tokens, and labels of badges. Joiners (U+200C, U+200D) are part of words
 * in Persian and Indic scripts and of many emoji, tags (U+E0020 to U+E007F) of flags, and some signs of Arabic and Kaithi
 * are format characters that can be seen. Characters without a meaning yet may be emoji that are newer than this Node.
 * Refused are controls, other format characters, such as those that turn the direction of text, and private ones.
 */
const FORMAT = '\\u200c\\u200d\\u0600-\\u0605\\u06dd\\u08e2\\u{110bd}\\u{110cd}\\u{e0020}-\\u{e007f}';
const ALLOWED = `(?:[^\\p{C}]|[${FORMAT}]|(?!\\p{NChar})\\p{Cn})`;
/** Such a text has something to see: more than spaces, joiners and tags. */
const VISIBLE = '(?:[^\\p{C}\\s]|(?!\\p{NChar})\\p{Cn})';

/** For `new RegExp(LABEL, 'u')`, and for JSON schemas. */
export const LABEL = `^${ALLOWED}*?${VISIBLE}${ALLOWED}*$`;

const PATTERN = new RegExp(LABEL, 'u');

/** True for 1 to `most` characters, of which one can be seen. */
export function isLabel(text: string, most: number): boolean {
  return PATTERN.test(text) && [...text].length <= most;
}
