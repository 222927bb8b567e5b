/** Questions of a worker to the primary are answered in time or given up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToPrimary } from '../src/protocol/ipc.ts';
import { Questions } from '../src/relay/questions.ts';

/** Questions whose messages are kept. */
function asking() {
  const sent: Extract<ToPrimary, { k: 'ask' }>[] = [];
  const questions = new Questions((message) => {
    if (message.k === 'ask') sent.push(message);
  });
  return { questions, sent };
}

test('each question gets its own answer, in whatever order the answers arrive', async () => {
  const { questions, sent } = asking();
  const answers = [questions.present('one'), questions.present('two')];
  assert.deepEqual(
    sent.map(({ site }) => site),
    ['one', 'two'],
  );
  for (const { ask, site } of sent.reverse()) questions.answer(ask, [[`/${site}`, 3]]);
  assert.deepEqual(await Promise.all(answers), [new Map([['/one', 3]]), new Map([['/two', 3]])]);
});

test('a question without an answer in time is given up, and a late answer is ignored', async () => {
  const { questions, sent } = asking();
  assert.equal(await questions.present('demo'), undefined);
  questions.answer(sent[0]?.ask ?? 0, [['/', 1]]);
  const next = questions.present('demo');
  questions.answer(sent[1]?.ask ?? 0, [['/', 2]]);
  assert.deepEqual(await next, new Map([['/', 2]]));
});

test('a primary with many unanswered questions gets no more', async () => {
  const { questions, sent } = asking();
  const waiting = Array.from({ length: 100 }, () => questions.present('demo'));
  assert.equal(await questions.present('demo'), undefined);
  assert.equal(sent.length, 100);
  for (const { ask } of sent) questions.answer(ask, []);
  assert.ok((await Promise.all(waiting)).every((pages) => pages?.size === 0));
  const again = questions.present('demo');
  questions.answer(sent.at(-1)?.ask ?? 0, []);
  assert.deepEqual(await again, new Map());
});
