/** Frames as a client puts them on the wire, by hand. */

/** Servers have to apply any key but zero (RFC 6455 section 5.3). */
const KEY = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** Positions carry a frame's number n: x = n mod 1000, y = n div 1000. */
export function numberOf(x: number, y: number): number {
  return x + 1000 * y;
}

/** A JSON move of frame n; as Socket.IO packs it if asked. */
export function moveText(n: number, t: number, socketIo: boolean): string {
  const move = `{"id":"v","x":${n % 1000},"y":${Math.floor(n / 1000)},"t":${t}}`;
  return socketIo ? `42["move",${move}]` : move;
}

/** A text frame of less than 64 KiB, masked as browsers do. */
export function textFrame(text: string): Buffer {
  return wrap(0x81, Buffer.from(text, 'latin1'));
}

export function batchFrame(bytes: Uint8Array): Buffer {
  return wrap(0x82, bytes);
}

function wrap(opcode: number, payload: Uint8Array): Buffer {
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 4 : 2);
  head[0] = opcode;
  head[1] = 0x80 | (long ? 126 : payload.length);
  if (long) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, KEY, payload.map((byte, i) => byte ^ (KEY[i % 4] as number))]);
}

/** Number of a page's load, which the server gives it: its first frame has the next. */
export const FIRST = 1;

/**
 * Returns a `fieldmouse.v1` frame with number `n`, time `t`, and `samples` samples that are `stepMs` apart. The place
 * of the first sample encodes `n`. The others move a step to the right and back, like a resting hand.
 */
export function v1Frame(n: number, t: number, samples: number, stepMs: number): Buffer {
  const bytes: number[] = [];
  varint(bytes, (n + FIRST) * 4 + 1);
  varint(bytes, Math.max(0, t - stepMs * (samples - 1)));
  bytes.push(1);
  varint(bytes, 2 * (n % 1000));
  varint(bytes, 2 * Math.floor(n / 1000));
  for (let i = 1; i < samples; i++) {
    varint(bytes, stepMs * 4);
    bytes.push(i % 2 === 1 ? 0x98 : 0x78);
  }
  return wrap(0x82, Uint8Array.from(bytes));
}

function varint(out: number[], value: number): void {
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
}
