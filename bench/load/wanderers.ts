/**
 * A process full of trackers that move at 60 Hz, ten frames a second each, all on one page. Started by `fork`;
 * its argument is a Wandering as JSON; it says `connected` by IPC and goes on until it is killed.
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Sample } from '../../src/protocol/encode.ts';
import { helloFrame, samplesFrame } from '../../test/support/visitor.ts';
import { FIRST } from './frames.ts';

export interface Wandering {
  port: number;
  visitors: number;
  seed: number;
}

const load = JSON.parse(process.argv[2] ?? '') as Wandering;
const SAMPLE_MS = 16;
const SLOTS = 6;
const SIZE: [number, number, number, number] = [1280, 800, 1280, 2000];

async function join(): Promise<WebSocket> {
  // With an origin the stage shows the demo page under the pointers, as it does for people.
  const origin = `http://127.0.0.1:${load.port}`;
  const socket = new WebSocket(`${origin.replace('http', 'ws')}/v1/visit?site=demo&page=/`, 'fieldmouse.v1', {
    origin,
  });
  await once(socket, 'open');
  socket.send(helloFrame({ page: '/', size: SIZE }));
  await once(socket, 'message');
  return socket;
}

function place(i: number, time: number): { x: number; y: number } {
  const s = time / 1000;
  const turn = i * 2.399 + load.seed;
  const x = 640 + 600 * Math.sin(s * (0.4 + (i % 7) / 10) + turn) * Math.cos(s * 0.3 + turn);
  return { x: Math.round(x), y: Math.round(700 + 650 * Math.sin(s * (0.3 + (i % 5) / 10) + turn * 3)) };
}

const sockets: WebSocket[] = [];
for (let i = 0; i < load.visitors; i++) sockets.push(await join());
process.send?.('connected');
const begin = performance.now();
let tick = 0;
setInterval(() => {
  tick += 1;
  const now = Math.round(performance.now() - begin);
  for (let i = tick % SLOTS; i < sockets.length; i += SLOTS) {
    const samples = Array.from({ length: SLOTS }, (_, k): Sample => {
      const time = now - (SLOTS - 1 - k) * SAMPLE_MS;
      return { type: 'move', time: Math.max(0, time), ...place(i, time) };
    });
    sockets[i]?.send(samplesFrame(FIRST + Math.ceil(tick / SLOTS) + 1, samples));
  }
}, SAMPLE_MS);
process.on('disconnect', () => process.exit());
