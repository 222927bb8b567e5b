/** A small image with a label and a number, for pages that can show only images. */
import { charactersOf } from '../model/label.ts';

const HEIGHT = 20;
/** On each side of a text, CSS pixels. */
const PADDING = 6;
/** Approximate width of a character in 11 px Verdana; `textLength` fits other fonts to it. */
const NARROW = 6.8;
const WIDE = 12;
/** From Hangul on, most characters are twice as wide. */
const FIRST_WIDE = 0x1100;

/** Returns the SVG. The label may be any text that passes `isLabel`. */
export function badge(label: string, count: number): string {
  const [name, number] = [part(label), part(String(count))];
  const width = name.width + number.width;
  const title = escapeText(`${label}: ${count}`);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${HEIGHT}" role="img" aria-label="${title}">` +
    `<title>${title}</title><clipPath id="c"><rect width="${width}" height="${HEIGHT}" rx="3"/></clipPath>` +
    `<g clip-path="url(#c)"><rect width="${width}" height="${HEIGHT}" fill="#444"/>` +
    `<rect x="${name.width}" width="${number.width}" height="${HEIGHT}" fill="#17697a"/></g>` +
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">' +
    `${textAt(0, name)}${textAt(name.width, number)}</g></svg>`
  );
}

interface Part {
  text: string;
  /** Including the padding, CSS pixels. */
  width: number;
}

function part(text: string): Part {
  let width = 2 * PADDING;
  for (const character of charactersOf(text))
    width += (character.codePointAt(0) as number) >= FIRST_WIDE ? WIDE : NARROW;
  return { text, width: Math.ceil(width) };
}

function textAt(x: number, { text, width }: Part): string {
  const length = width - 2 * PADDING;
  return (
    `<text x="${x + PADDING}" y="14" textLength="${length}" lengthAdjust="spacingAndGlyphs">` +
    `${escapeText(text)}</text>`
  );
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] as string);
}
