/** The lines of a stream of bytes. */
import type { Readable } from 'node:stream';
import { LineFault } from './record-lines.ts';

/** Maximum length of a line, bytes: more than 1,024 samples with the longest texts need. */
const MAX_LINE = 8 * 1024 * 1024;
const NEWLINE = 0x0a;

export interface TextLine {
  /** Line number, starting at 1. */
  no: number;
  text: string;
  /** Bytes read so far. */
  bytes: number;
}

/**
 * Yields the non-empty lines of a stream, without line ends. Throws LineFault with the line number for a line that is
 * longer than MAX_LINE or not UTF-8.
 */
export async function* linesOf(input: Readable): AsyncGenerator<TextLine> {
  let parts: Buffer[] = [];
  let length = 0;
  let no = 0;
  let bytes = 0;
  const take = () => {
    const text = decode(Buffer.concat(parts, length), no);
    parts = [];
    length = 0;
    return { no, text, bytes };
  };
  for await (const chunk of input as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, end));
      length += end - from;
      bytes += end + 1 - from;
      from = end + 1;
      no += 1;
      const line = take();
      if (line.text !== '') yield line;
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    bytes += chunk.length - from;
    if (length > MAX_LINE) throw new LineFault(`it is longer than ${MAX_LINE} bytes`, no + 1);
  }
  no += 1;
  const line = take();
  if (line.text !== '') yield line;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function decode(bytes: Buffer, no: number): string {
  try {
    return decoder.decode(bytes).trim();
  } catch {
    throw new LineFault('it is not UTF-8', no);
  }
}
