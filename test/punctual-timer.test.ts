import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTurning, PunctualTimer, runLateTimers } from '../src/lib/punctual-timer.ts';

test('late timers run between frames while the event loop runs none', (t) => {
  const ran = { once: 0, repeated: 0 };
  const once = new PunctualTimer(() => void ran.once++, 1);
  const repeated = new PunctualTimer(() => void ran.repeated++, 1, true);
  t.after(() => repeated.stop());
  while (ran.repeated < 3 || isTurning()) runLateTimers(performance.now());
  assert.equal(ran.once, 1);
  once.stop();
});

test('a timer that ran between frames does not run again at its old time', async () => {
  let count = 0;
  const timer = new PunctualTimer(() => void count++, 1);
  while (count === 0) runLateTimers(performance.now());
  await new Promise((resolve) => setTimeout(resolve, 10));
  timer.stop();
  assert.equal(count, 1);
});
