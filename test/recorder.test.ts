/** When a worker commits the frames that it has collected. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SampleBuffer } from '../src/protocol/frame.ts';
import { Recorder, Recording } from '../src/store/record/recorder.ts';
import { fill, type MadeFrame, plainVisit } from './support/visits.ts';

const buffer = new SampleBuffer(1024);

/** A recorder that commits only every 5 s, so that what resolves earlier was hurried. */
function slowRecorder(t: TestContext) {
  let commits = 0;
  const fail = () => assert.fail();
  const append = async () => {
    commits += 1;
  };
  const recorder = new Recorder({ archive: { append }, commitMs: 5000, onTrouble: fail, onRecovery: fail });
  t.after(() => recorder.close());
  const record = (): Recording => {
    const { id, site, about, frames } = plainVisit('demo');
    const { n, page, size, samples, t } = frames[0] as MadeFrame;
    const recording = new Recording(recorder, { id, site, page, size }, about, n - 1);
    fill(buffer, samples);
    recording.take(n, page, size, buffer, 0, t);
    return recording;
  };
  return { record, commits: () => commits };
}

test('frames that many responses wait for are committed together, before those that one waits for', async (t) => {
  const [rare, busy] = [slowRecorder(t), slowRecorder(t)];
  const alone = rare.record();
  const isDone = { alone: false };
  void alone.settled().then(() => {
    isDone.alone = true;
  });
  const recordings = Array.from({ length: 1000 }, busy.record);
  await Promise.all(recordings.map((recording) => recording.settled()));
  assert.ok(recordings.every(({ kept, taken }) => kept === taken));
  assert.deepEqual([isDone.alone, busy.commits(), rare.commits()], [false, 1, 0]);
});

test('frames are not committed early until responses wait for them', async (t) => {
  const { record, commits } = slowRecorder(t);
  const recordings = Array.from({ length: 1000 }, record);
  await new Promise(setImmediate);
  assert.equal(commits(), 0);
  const waiting = recordings.map((recording) => recording.settled());
  await Promise.all(waiting);
  assert.equal(commits(), 1);
});
