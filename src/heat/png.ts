/**
 * Encodes images of up to 256 colours as PNG (W3C, third edition). Available packages block the event loop while they
 * compress; this runs on zlib's threads, so that streams and visitors are served meanwhile.
 */
import { promisify } from 'node:util';
import { crc32, deflate } from 'node:zlib';

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const DEPTH = 8;
const INDEXED = 3;
/** Higher levels take three times as long and save about 5 %. */
const LEVEL = 4;

const compress = promisify(deflate);

export interface Picture {
  width: number;
  height: number;
  /** Flat: red, green, blue, opacity of each colour, 0 to 255. */
  palette: Uint8Array;
  /** For each row a filter byte (0 for none), then a byte per pixel. */
  rows: Buffer;
}

export async function encodePng({ width, height, palette, rows }: Picture): Promise<Buffer> {
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, DEPTH, INDEXED, 0, 0, 0]);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', head),
    chunk('PLTE', Buffer.from(palette.filter((_, i) => i % 4 < 3))),
    chunk('tRNS', Buffer.from(palette.filter((_, i) => i % 4 === 3))),
    chunk('IDAT', await compress(rows, { level: LEVEL })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const chunk = Buffer.alloc(body.length + 8);
  chunk.writeUInt32BE(data.length, 0);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), body.length + 4);
  return chunk;
}
