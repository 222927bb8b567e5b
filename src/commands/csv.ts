/** Rows as RFC 4180 has them. */

/** Spreadsheets take a file for UTF-8 only if it begins with this mark. */
export const CSV_BEGIN = '\uFEFF';

/** A row with what ends it. Texts that a spreadsheet would take for a formula are led by an apostrophe. */
export function csvRow(cells: readonly (string | number)[]): string {
  return `${cells.map((cell) => (typeof cell === 'number' ? String(cell) : quoted(harmless(cell)))).join(',')}\r\n`;
}

/** OWASP, CSV injection: these begin a formula, also behind white space that is dropped. */
function harmless(text: string): string {
  return /^\s*[=+\-@]|^[\t\r\n]/.test(text) ? `'${text}` : text;
}

function quoted(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
