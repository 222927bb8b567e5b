/** Rows in the format of RFC 4180. */

/** Spreadsheets read a file as UTF-8 only if it starts with this mark. */
export const CSV_BOM = '\uFEFF';

/** Returns a row with its line end. Texts that a spreadsheet would read as a formula get an apostrophe in front. */
export function csvRow(cells: readonly (string | number)[]): string {
  const fields = cells.map((cell) => (typeof cell === 'number' ? String(cell) : quoted(escapeFormula(cell))));
  return `${fields.join(',')}\r\n`;
}

/** OWASP, CSV injection: these characters start a formula, also after white space that is dropped. */
function escapeFormula(text: string): string {
  return /^\s*[=+\-@]|^[\t\r\n]/.test(text) ? `'${text}` : text;
}

function quoted(text: string): string {
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
