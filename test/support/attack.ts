/** Attacks that the tests run briefly, and `npm run attack` for long. Each has its own limits. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRaw, upgradeText, wsFrame } from './raw.ts';
import { helloFrame, samplesFrame } from './visitor.ts';

/** Number of local addresses used by attackers; other tests use 127.0.0.1. */
const ADDRESSES = 250;

function addressOf(i: number): string {
  return `127.0.9.${1 + (i % ADDRESSES)}`;
}

/** First bytes of each kind of slow client; one byte per second follows. An empty text sends nothing at all. */
export const SLOW = {
  silent: '',
  headers: 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ',
  body: 'POST /v1/visit?site=demo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n',
  'sign-in': 'POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
  'half a frame': `${upgradeText()}\x82\xc8`,
} as const;

/**
 * Opens slow connections that stay until the server closes them. `cut` resolves with the time until the last was
 * closed, ms.
 */
export async function slowly(url: string, count: number, text: string): Promise<{ cut: Promise<number> }> {
  const began = performance.now();
  const sockets = await Promise.all(Array.from({ length: count }, () => openRaw(undefined, url)));
  const cuts = sockets.map(async (socket) => {
    socket.resume();
    socket.write(text, 'latin1');
    const timer = text === '' ? undefined : setInterval(() => socket.write('a'), 1000);
    await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
    clearInterval(timer);
    socket.destroy();
  });
  return { cut: Promise.all(cuts).then(() => performance.now() - began) };
}

/** Number of outcomes by name: `101`, another status, or the kind of failure. */
export type Tally = Map<string, number>;

export function tally(outcomes: Tally, what: string): void {
  outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
}

/** Connects and disconnects `count` times from many addresses, at most `batch` at once and `perSecond` per second. */
export async function churn(url: string, count: number, batch: number, perSecond = Number.POSITIVE_INFINITY) {
  const outcomes: Tally = new Map();
  const began = performance.now();
  let next = 0;
  const run = async () => {
    while (next < count) {
      const i = next++;
      const wait = (1000 * i) / perSecond - (performance.now() - began);
      if (wait > 1) await sleep(wait);
      tally(outcomes, await comeAndGo(url, i));
    }
  };
  await Promise.all(Array.from({ length: batch }, run));
  return { outcomes, seconds: (performance.now() - began) / 1000 };
}

/**
 * Makes one of three connections in turn: a silent one, an upgrade that is aborted, and a visitor that disconnects
 * after hello.
 */
async function comeAndGo(url: string, i: number): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress: addressOf(i) });
  try {
    await once(socket, 'connect');
    socket.on('error', () => {});
    if (i % 3 === 0) return 'nothing said';
    socket.write(upgradeText());
    const status = await statusOf(socket);
    if (i % 3 === 2 && status === '101') socket.write(wsFrame(0x82, helloFrame()));
    return status;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'failed';
  } finally {
    socket.destroy();
  }
}

async function statusOf(socket: Socket): Promise<string> {
  const chunk = await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [''])]);
  return /^HTTP\/1\.1 (\d{3})/.exec(String(chunk[0]))?.[1] ?? 'cut';
}

/** Opens `count` visitors from one address, in batches, and holds the accepted ones until `end`. */
export async function hoard(url: string, count: number, localAddress: string, batch = 100) {
  const outcomes: Tally = new Map();
  const held: Socket[] = [];
  for (let from = 0; from < count; from += batch)
    await Promise.all(Array.from({ length: Math.min(batch, count - from) }, () => openOne()));
  return { outcomes, held, end: () => held.map((socket) => socket.destroy()) };

  async function openOne(): Promise<void> {
    const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress });
    socket.on('error', () => {});
    socket.write(upgradeText(undefined, '', 'json'));
    const status = await statusOf(socket).catch(() => 'cut');
    tally(outcomes, status);
    if (status === '101') held.push(socket.resume());
    else socket.destroy();
  }
}

/** The messages of a flooding visitor, by number: real frames, pings, or fragments of one message. */
export const FLOOD = {
  frames: (i: number) => wsFrame(0x82, samplesFrame(i + 1, [{ type: 'move', time: i, x: i % 1000, y: 5 }])),
  pings: () => wsFrame(0x89, new Uint8Array(4)),
  fragments: (i: number) => wsFrame(i === 0 ? 0x02 : 0x00, Uint8Array.of(1)),
};

/**
 * Connects one visitor after another. Each sends `perSecond` frames per second. A disconnected visitor reconnects, up
 * to 100 times per second. Ends after `seconds`, or after `most` accepted visitors.
 */
export async function flood(
  url: string,
  kind: keyof typeof FLOOD,
  perSecond: number,
  seconds: number,
  most = Infinity,
) {
  const end = performance.now() + 1000 * seconds;
  const outcomes: Tally = new Map();
  let sent = 0;
  while (performance.now() < end && (outcomes.get('101') ?? 0) < most) {
    const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress: addressOf(0) });
    socket.on('error', () => {});
    socket.write(upgradeText());
    const status = await statusOf(socket).catch(() => 'cut');
    tally(outcomes, status);
    if (status === '101') sent += await pour(socket, kind, perSecond, end);
    socket.destroy();
    await sleep(10);
  }
  return { sent, outcomes };
}

const TICK_MS = 10;

async function pour(socket: Socket, kind: keyof typeof FLOOD, perSecond: number, end: number): Promise<number> {
  let open = true;
  socket.once('close', () => {
    open = false;
  });
  socket.once('end', () => {
    open = false;
  });
  socket.resume();
  socket.write(wsFrame(0x82, helloFrame()));
  const began = performance.now();
  let sent = 0;
  while (open && performance.now() < end) {
    const due = Math.ceil(((performance.now() - began + TICK_MS) * perSecond) / 1000);
    const frames: Buffer[] = [];
    while (sent < due) frames.push(FLOOD[kind](sent++));
    if (!socket.write(Buffer.concat(frames))) await roomOrEnd(socket);
    await sleep(TICK_MS);
  }
  return sent;
}

/** Resolves when the socket accepts more data or is closed; the attack expects to be disconnected. */
async function roomOrEnd(socket: Socket): Promise<void> {
  await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
}
