/** Line wrapping for a terminal. */

/** Breaks a text between words into lines of at most `columns`, each indented by `indent` spaces. */
export function wrap(text: string, indent: number, columns = 80): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line && indent + line.length + word.length + 1 > columns) {
      lines.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line].map((one) => `${' '.repeat(indent)}${one}`).join('\n');
}
