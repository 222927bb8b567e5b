import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogLimit } from '../src/log/log-limit.ts';

test('a few lines of one kind pass, other kinds are not held up, and the number of omitted lines is logged', () => {
  const limit = new LogLimit();
  const passed = (kind: string, n: number, now: number) =>
    Array.from({ length: n }, () => limit.take(kind, now)).filter(Boolean).length;
  assert.equal(passed('flood', 1000, 0), 20);
  assert.equal(passed('rare', 1, 0), 1);
  assert.deepEqual(limit.leftOut(), [{ kind: 'flood', leftOut: 980 }]);
  assert.deepEqual(limit.leftOut(), []);
  // One in five seconds from then on.
  assert.equal(passed('flood', 10, 5000), 1);
  assert.equal(passed('flood', 10, 15_000), 2);
  assert.deepEqual(limit.leftOut(), [{ kind: 'flood', leftOut: 17 }]);
});

test('an unlimited number of kinds counts as one kind', () => {
  const limit = new LogLimit();
  let through = 0;
  for (let i = 0; i < 100_000; i++) if (limit.take(`kind ${i}`, 0)) through += 1;
  assert.equal(through, 520);
  assert.equal(
    limit.leftOut().reduce((sum, { leftOut }) => sum + leftOut, 0),
    100_000 - 520,
  );
});
