/** Limits of the texts that visitors send. */

/** Longest texts, in UTF-8 bytes. */
export const MAX_TEXT = { page: 1024, selector: 160, language: 35, origin: 256, token: 128 } as const;

const encoder = new TextEncoder();

export function utf8Length(text: string): number {
  return encoder.encode(text).length;
}
