/**
 * Every parser of external input, fed with mutated output of real encoders; for test/fuzz.test.ts and `npm run fuzz`.
 */
import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { LineFault, readLine, runLine, visitLine } from '../../src/commands/record-lines.ts';
import { agentText } from '../../src/http/auth/browser-name.ts';
import { peerReader } from '../../src/http/peer.ts';
import { Problem } from '../../src/http/problem.ts';
import { days, times, whole } from '../../src/http/query-fields.ts';
import { isKnown } from '../../src/http/static/fixed-files.ts';
import { FrameReader } from '../../src/ingest/frame-reader.ts';
import { signToken, verifyToken } from '../../src/ingest/resume-token.ts';
import { isPage } from '../../src/model/page.ts';
import { CURSOR } from '../../src/model/query.ts';
import { isAllowedOrigin, isOwnOrigin, normalOrigin } from '../../src/model/site.ts';
import type { Visit } from '../../src/model/visit.ts';
import { encodeFrame, encodeHello, encodeSamples, packFrames, type Sample } from '../../src/protocol/encode.ts';
import { decodeHead, decodeHello, decodeSamples, FRAME, SampleBuffer, splitFrames } from '../../src/protocol/frame.ts';
import { FrameError } from '../../src/protocol/frame-error.ts';
import { isToPrimary, isToWorker } from '../../src/protocol/ipc.ts';
import { decodeJson } from '../../src/protocol/json.ts';
import { decodeJsonMove } from '../../src/protocol/json-move.ts';
import { MAX_COORDINATE } from '../../src/protocol/limits.ts';
import { passagesOf } from '../../src/protocol/passages.ts';
import { parseEventId } from '../../src/protocol/stream-event.ts';
import { Writer } from '../../src/protocol/writer.ts';
import { tokenId } from '../../src/store/accounts/secret.ts';
import { BatchWriter, PlaceMark, readBatch } from '../../src/store/record/batch.ts';
import { decodeRuns, writeRun } from '../../src/store/record/chunk.ts';
import { mergeTile, readTile } from '../../src/store/record/tile.ts';
import { wsFrame } from './raw.ts';

/** A parser. `run` returns if it accepts the input, and otherwise throws an expected error. */
export interface Target<T = never> {
  name: string;
  inputs: fc.Arbitrary<T>;
  run(input: T): void;
}

export const NOW = Date.UTC(2026, 10, 20, 12);
const SECRET = Buffer.alloc(32, 7);
const TEXT = '/gärten?q=<b>';
const SAMPLES: Sample[] = [
  { type: 'move', time: 100, x: 300, y: 400 },
  { type: 'move', time: 116, x: 303, y: 399 },
  { type: 'scroll', time: 120, y: 900 },
  { type: 'click', time: 130, x: 301, y: 402, button: 0, ex: 5, ey: 6, selector: '#a > b.c' },
  { type: 'page', time: 140, page: TEXT },
  { type: 'resize', time: 150, vw: 800, vh: 600, dw: 800, dh: 9000 },
  { type: 'visibility', time: 160, visible: false },
  { type: 'pointer', time: 170, pointer: 'touch' },
];
const TOKEN = signToken(SECRET, 'demo', 'MDAwMDAwMDAwMDAwMDAwMA', NOW, NOW);
const HELLO = { clock: 5, vw: 1280, vh: 720, dw: 1280, dh: 2000, page: TEXT, language: 'de-AT', last: 7 };
const FRAMES = [
  encodeFrame(0, 0, encodeHello({ ...HELLO, token: TOKEN, referrer: 'https://a.example' })),
  encodeFrame(8, 1, encodeSamples(SAMPLES)),
  encodeFrame(9, 1, encodeSamples(SAMPLES.slice(0, 2))),
  encodeFrame(0, 2),
];
const PAYLOAD = Uint8Array.from(encodeSamples(SAMPLES.map((one) => ({ ...one, time: one.time - 100 }))));
const JSON_FRAMES = [
  '{"id":"me","x":1,"y":2.5,"t":1763640000000}',
  '{"x":-1,"y":20}',
  '{"y":1e3,"x":4,"id":17}',
  JSON.stringify(SAMPLES.map(({ time, ...rest }) => ({ ...rest, t: NOW + time }))),
  `{"type":"hello","token":"${TOKEN}"}`,
  '[{"type":"bye"}]',
];

/** Mutations of real bytes: some changed, a part removed, repeated, or inserted. */
type Edit = { k: 'set' | 'cut' | 'copy' | 'grow'; at: number; value: number; length: number };

const edit: fc.Arbitrary<Edit> = fc.record({
  k: fc.constantFrom('set', 'set', 'set', 'cut', 'copy', 'grow'),
  at: fc.nat(4096),
  value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
  length: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 300 })),
});

function edited(real: Uint8Array, edits: readonly Edit[]): Uint8Array {
  let bytes = Buffer.from(real);
  for (const { k, at, value, length } of edits) {
    const from = bytes.length === 0 ? 0 : at % bytes.length;
    if (k === 'set') bytes[from] = value;
    else {
      const tail = bytes.subarray(from + (k === 'cut' ? length : 0));
      const more = { cut: [], copy: [bytes.subarray(from, from + length)], grow: [Buffer.alloc(length, value)] }[k];
      bytes = Buffer.concat([bytes.subarray(0, from), ...more, tail]);
    }
  }
  return bytes;
}

/** Mostly real bytes, unchanged, mutated, or two spliced together; sometimes random bytes. */
function bytesLike(reals: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const real = fc.constantFrom(...reals);
  const changed = fc.tuple(real, fc.array(edit, { maxLength: 4 })).map(([bytes, edits]) => edited(bytes, edits));
  const spliced = fc
    .tuple(real, real, fc.nat(200), fc.nat(200))
    .map(([a, b, i, k]) => Buffer.concat([a.subarray(0, i % (a.length + 1)), b.subarray(k % (b.length + 1))]));
  return fc.oneof(
    { weight: 6, arbitrary: changed },
    { weight: 2, arbitrary: spliced },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) },
  );
}

function textLike(reals: readonly string[]): fc.Arbitrary<string> {
  const bytes = bytesLike(reals.map((real) => Buffer.from(real)));
  return fc.oneof(
    { weight: 6, arbitrary: bytes.map((one) => Buffer.from(one).toString()) },
    { weight: 1, arbitrary: bytes.map((one) => Buffer.from(one).toString('latin1')) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  );
}

function target<T>(name: string, inputs: fc.Arbitrary<T>, run: (input: T) => void): Target {
  return { name, inputs, run } as unknown as Target;
}

const MAX = 1024;
const samples = new SampleBuffer(MAX);

function checkSamples({ count, x, y, time, marks }: SampleBuffer): void {
  assert.ok(count <= MAX && marks.length <= count);
  for (let i = 0; i < count; i++) {
    assert.ok(Math.abs(x[i] as number) <= MAX_COORDINATE && Math.abs(y[i] as number) <= MAX_COORDINATE);
    assert.ok(Number.isFinite(time[i]));
  }
}

function readFrame(bytes: Uint8Array): void {
  const { type, offset } = decodeHead(bytes);
  if (type === FRAME.hello) {
    const { token, page, language, referrer } = decodeHello(bytes, offset);
    assert.ok(token.length + page.length + language.length + referrer.length < 2000);
  } else if (type === FRAME.samples) {
    decodeSamples(bytes, offset, samples);
    checkSamples(samples);
  }
}

function readJson(text: string): void {
  const bytes = Buffer.from(text);
  const isPlain = decodeJsonMove(bytes, 0, bytes.length, true, NOW, samples);
  const plain = [samples.count, samples.x[0], samples.y[0], samples.time[0]];
  const { label } = decodeJson(bytes.toString(), NOW, samples);
  if (isPlain) assert.deepEqual(plain, [samples.count, samples.x[0], samples.y[0], samples.time[0]]);
  assert.ok((label?.length ?? 0) <= 64);
  checkSamples(samples);
}

/** All bytes are parsed as frames, passed on to ws, or held until more arrive; never more than that. */
function readSocket([bytes, cuts]: [Uint8Array, number[]]): void {
  const socket = new Socket();
  let told = 0;
  socket.on('data', (chunk) => {
    told += chunk.length;
  });
  const reader = new FrameReader(1000);
  reader.open(socket, {
    take: (all, from, to) => {
      assert.ok(from >= 0 && to <= all.length && to - from <= 1000);
      told += to - from;
    },
  });
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    const chunk = Buffer.from(bytes.subarray(at, at + cut));
    reader.read(chunk, chunk.length);
    at += cut;
  }
  assert.ok(told <= bytes.length);
  socket.destroy();
}

function runBytes(): Uint8Array {
  const out = new Writer(4096);
  const run = { n: 3, frames: 2, entered: true, t: NOW, until: NOW + 70, page: 1, payload: PAYLOAD };
  writeRun(out, { ...run, size: [1280, 720, 1280, 2000] });
  writeRun(out, { ...run, n: 5, page: 700, size: [0, 0, 0, 0] });
  return out.copy();
}

function readChunk(bytes: Uint8Array): void {
  for (const run of decodeRuns(bytes)) passagesOf({ ...run, page: '/' });
}

function batchBytes(): Uint8Array {
  const writer = new BatchWriter();
  const mark = new PlaceMark({ id: 'v', site: 'demo', page: TEXT, size: [1280, 720, 1280, 2000] });
  const about = { device: 'desktop', language: 'de', referrer: '', origin: '', country: 'AT', label: 'x' } as const;
  writer.about(mark, { since: NOW, ...about });
  decodeSamples(PAYLOAD, 0, samples);
  writer.frame(mark, 1, true, samples, NOW, NOW);
  return writer.take();
}

function tileBytes(): Uint8Array {
  const by = new Map([3, 90, 5000, 70_000].map((cell, i) => [cell, 200 ** i]));
  return mergeTile(undefined, [...by.keys()], by) as Buffer;
}

const VISIT = {
  id: 'MDAwMDAwMDAwMDAwMDAwMA',
  site: 'demo',
  since: NOW,
  device: 'desktop',
  language: 'de',
  referrer: 'https://a.example',
  origin: 'https://b.example',
  country: 'AT',
  label: 'x',
} as unknown as Visit;
const RUN = {
  n: 1,
  frames: 2,
  page: TEXT,
  size: [1, 2, 3, 4] as [number, number, number, number],
  entered: true,
  t: NOW,
};

const peerOf = peerReader({ trustProxy: ['loopback', '10.0.0.0/8'], countryHeader: 'cf-ipcountry', geo: true });

/** Header fields in the form that Node gives: without line ends. */
function readPeer([forwarded, host, country]: [string, string, string]): void {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: '127.0.0.1' });
  const request = new IncomingMessage(socket);
  Object.assign(request.headers, { 'x-forwarded-for': forwarded, 'x-forwarded-host': host, 'cf-ipcountry': country });
  const peer = peerOf(request);
  assert.match(peer.country, /^([A-Z]{2})?$/);
  socket.destroy();
}

function readQuery([name, text]: [string, string]): void {
  if (name === 'whole') whole('limit', text, 1, 200);
  else if (name === 'time') times({ from: text, to: text });
  else if (name === 'day') days({ from: text, to: text }, NOW);
  else if (CURSOR.test(text)) assert.ok(text.length <= 33);
}

function readOrigin([origin, host]: [string, string]): void {
  const normal = normalOrigin(origin);
  if (normal !== undefined) assert.equal(normalOrigin(normal), normal);
  isOwnOrigin(origin, host);
  assert.equal(isAllowedOrigin({ origins: ['https://a.example'] }, origin, host), origin === 'https://a.example');
}

function readSecrets(text: string): void {
  const proof = verifyToken(SECRET, 'demo', text);
  if (proof) assert.equal(text, TOKEN);
  tokenId(text);
  parseEventId(text, 'abcd');
  isKnown(text, '"tag"');
  assert.ok(agentText(text).length < 80);
  isPage(text);
}

const wsReals = FRAMES.map((bytes) => wsFrame(0x82, Uint8Array.from(bytes)));
const wsBytes = bytesLike([Buffer.concat(wsReals), Buffer.concat([wsFrame(0x89), wsFrame(0x02), wsFrame(0x88)])]);

/** Frames as sent over a socket, in every format. */
export const visitorFrames = bytesLike(FRAMES.map((bytes) => Uint8Array.from(bytes)));
export const visitorBytes = wsBytes;
export const postBodies = bytesLike([Uint8Array.from(packFrames(FRAMES))]);
export const jsonFrames = textLike(JSON_FRAMES);

const ADDRESSES = ['1.2.3.4, 10.0.0.1', '2001:db8::1, ::ffff:10.1.2.3', '[::1]:80', 'unknown', '1.2.3.4:5, '];
const ORIGINS = ['https://a.example', 'http://a.example:8080/', 'self', 'null', 'http://[::1]:80'];
const WORDS = [TOKEN, 'abcd-12', '"tag", W/"tag"', 'fm_0123456789ab_x', 'Mozilla/5.0 (X11; Linux) Firefox/140', TEXT];

/** `share` weights the targets: input that anybody may send gets the most. */
export const TARGETS: readonly (Target & { share: number })[] = [
  { share: 5, ...target('binary frames', visitorFrames, readFrame) },
  { share: 4, ...target('JSON frames, both readers', jsonFrames, readJson) },
  { share: 2, ...target('bodies of POST', postBodies, (body) => splitFrames(body, 500).forEach(readFrame)) },
  {
    share: 3,
    ...target('WebSocket bytes in any chunks', fc.tuple(wsBytes, fc.array(fc.nat(40), { maxLength: 8 })), readSocket),
  },
  { share: 1, ...target('tokens, event ids, tags, agents, pages', textLike(WORDS), readSecrets) },
  {
    share: 1,
    ...target(
      'numbers, times, days, cursors',
      fc.tuple(
        fc.constantFrom('whole', 'time', 'day', 'cursor'),
        textLike(['100', '1763640000000', '2026-02-28', '12.34', '8640000000000001', '9999-12-31']),
      ),
      readQuery,
    ),
  },
  {
    share: 1,
    ...target('origins and hosts', fc.tuple(textLike(ORIGINS), textLike(['a.example:80', '[::1]'])), readOrigin),
  },
  {
    share: 1,
    ...target(
      'X-Forwarded-For, -Host, country',
      fc.tuple(textLike(ADDRESSES), textLike(['a.example']), textLike(['AT'])),
      readPeer,
    ),
  },
  {
    share: 2,
    ...target(
      'lines of an import',
      textLike([visitLine(VISIT), runLine({ ...RUN, until: NOW, payload: PAYLOAD }), '{"end":{"visits":1,"runs":2}}']),
      readLine,
    ),
  },
  { share: 1, ...target('chunks of the record', bytesLike([runBytes()]), readChunk) },
  { share: 1, ...target('tiles of the record', bytesLike([tileBytes()]), (bytes) => readTile(bytes, () => {})) },
  {
    share: 1,
    ...target('batches of the record', bytesLike([batchBytes()]), (bytes) =>
      readBatch(bytes, { about: () => {}, frame: () => {} }),
    ),
  },
  {
    share: 1,
    ...target('messages between processes', fc.anything(), (value) => {
      if (isToPrimary(value) || isToWorker(value)) throw new Error('a message without our tag is not ours');
    }),
  },
];

/** Returns true if the target accepts the input. Throws errors that are not of our own kinds. */
export function accepts({ run }: Target, input: never): boolean {
  try {
    run(input);
    return true;
  } catch (error) {
    if (error instanceof FrameError || error instanceof LineFault || error instanceof Problem) return false;
    throw error;
  }
}
