/**
 * A process full of `json` visitors. Open loop: each sends on its own schedule and never waits for the
 * server. Frames are written by hand on plain sockets, so that the load costs little beside what it
 * measures. Started by `fork`; its argument is a Load as JSON; it reports by IPC.
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

export interface Load {
  port: number;
  visitors: number;
  /** Frames per second of each visitor, one move per frame. */
  rate: number;
  seconds: number;
  seed: number;
}

export type LoadReport =
  | { k: 'connected' }
  | { k: 'done'; sent: number; closed: number; cpuMs: number; lateMs: number };

const load = JSON.parse(process.argv[2] ?? '') as Load;
const TICK_MS = 4;

interface Sender {
  socket: Socket;
  sent: number;
  /** Part of the interval by which this visitor is behind the first, so that they do not all send at once. */
  phase: number;
}

/** Mulberry32: seeded, so that every run sends the same. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function join(i: number, phase: number): Promise<Sender> {
  const socket = connect(load.port, '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.write(
    `GET /v1/visit?site=demo&page=%2F HTTP/1.1\r\nHost: 127.0.0.1:${load.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${Buffer.from(String(i).padStart(16, '0')).toString('base64')}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: json\r\n\r\n`,
  );
  let text = '';
  while (!text.includes('"type":"hello"')) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
    if (!text.startsWith('HTTP/1.1 101')) throw new Error(text.slice(0, 300));
  }
  socket.on('data', () => {});
  return { socket, sent: 0, phase };
}

/** A text frame, masked with the key 0, which leaves the payload as it is (RFC 6455 section 5.3). */
function frame(text: string): string {
  const length = text.length;
  return `\x81${String.fromCharCode(128 | length)}\0\0\0\0${text}`;
}

async function run(): Promise<void> {
  const next = random(load.seed);
  const senders: Sender[] = [];
  for (let i = 0; i < load.visitors; i += 50)
    senders.push(
      ...(await Promise.all(Array.from({ length: Math.min(50, load.visitors - i) }, (_, k) => join(i + k, next())))),
    );
  process.send?.({ k: 'connected' } satisfies LoadReport);
  await once(process, 'message');
  let closed = 0;
  for (const { socket } of senders)
    socket.once('close', () => {
      closed += 1;
    });
  const cpu = process.cpuUsage();
  const { sent, lateMs } = await send(senders);
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({ k: 'done', sent, closed, cpuMs: (user + system) / 1000, lateMs } satisfies LoadReport);
  await once(process, 'message');
  for (const { socket } of senders) socket.destroy();
  process.disconnect();
}

/** Sends what is due, every few milliseconds, until the time is over. `lateMs`: the longest the loop overslept. */
function send(senders: Sender[]): Promise<{ sent: number; lateMs: number }> {
  const interval = 1000 / load.rate;
  const total = Math.round(load.seconds * load.rate);
  const start = performance.now();
  let sent = 0;
  let lateMs = 0;
  let last = start;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now();
      lateMs = Math.max(lateMs, now - last - TICK_MS);
      last = now;
      const unix = Date.now();
      for (const sender of senders) {
        const due = Math.min(total, Math.floor((now - start) / interval + sender.phase));
        let bytes = '';
        for (; sender.sent < due; sender.sent++, sent++) {
          // The position is the frame's number: the reader sees at once what is missing or came twice.
          const text = `{"id":"v","x":${sender.sent % 1000},"y":${Math.floor(sender.sent / 1000)},"t":${unix}}`;
          bytes += frame(text);
        }
        if (bytes) sender.socket.write(bytes, 'latin1');
      }
      if (sent === total * senders.length) {
        clearInterval(timer);
        resolve({ sent, lateMs });
      }
    }, TICK_MS);
  });
}

await run();
