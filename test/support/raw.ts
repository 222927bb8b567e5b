/** Clients that write byte by byte what no library would send. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** Opens a connection, which is destroyed after the test. `url` has the form `http://127.0.0.1:PORT`. */
export async function openRaw(t: TestContext | undefined, url: string): Promise<Socket> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
  t?.after(() => socket.destroy());
  await once(socket, 'connect');
  // A disconnect by the server is not an error of the test.
  socket.on('error', () => {});
  return socket;
}

/** Sends bytes on a new connection, and resolves with everything received until the server closes it. */
export async function exchange(t: TestContext, url: string, bytes: string | Buffer): Promise<string> {
  const socket = await openRaw(t, url);
  socket.write(bytes, 'latin1');
  return answerOf(socket);
}

/** Resolves with everything received until the other side closes. */
export async function answerOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    text += chunk;
  });
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  socket.destroy();
  return text;
}

/** Returns the status of each response in a text, in order. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
}

export function upgradeText(path = '/v1/visit?site=demo&page=/', fields = '', protocol = 'fieldmouse.v1'): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==\r\nSec-WebSocket-Protocol: ${protocol}\r\n${fields}\r\n`
  );
}

/** Opens a WebSocket whose bytes the test writes. Resolves with its socket and the head of the response. */
export async function openRawVisitor(
  t: TestContext | undefined,
  url: string,
  fields = '',
  protocol = 'fieldmouse.v1',
): Promise<{ socket: Socket; head: string }> {
  const socket = await openRaw(t, url);
  socket.write(upgradeText(undefined, fields, protocol));
  let head = '';
  while (!head.includes('\r\n\r\n')) head += String((await once(socket, 'data'))[0]);
  return { socket, head };
}

/**
 * Returns the bytes of a client's frame. `first` holds FIN, RSV and the opcode. The mask is all zeros, which every
 * reader must accept.
 */
export function wsFrame(first: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const { length } = payload;
  const head = length < 126 ? [first, 0x80 | length] : [first, 0x80 | 126, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), payload]);
}

/** Resolves with the code of the first Close frame, or 1006 if the connection ends without one. */
export async function closeCodeOf(socket: Socket): Promise<number> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    const code = closeIn(bytes);
    if (code !== undefined) return code;
  }
  return 1006;
}

/** Frames of servers are not masked, and ours are short. */
function closeIn(bytes: Buffer): number | undefined {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = (bytes[at + 1] as number) & 0x7f;
    const long = length === 126 ? 2 : 0;
    if (((bytes[at] as number) & 0x0f) === 8) return bytes.readUInt16BE(at + 2);
    at += 2 + long + (long ? bytes.readUInt16BE(at + 2) : length);
  }
  return undefined;
}

/** Returns the open descriptors and the resident memory in MB of each process. */
export function usage(pids: readonly number[]): { files: number; rssMb: number }[] {
  return pids.map((pid) => ({
    files: readdirSync(`/proc/${pid}/fd`).length,
    rssMb: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024,
  }));
}
