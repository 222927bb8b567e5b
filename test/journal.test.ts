import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BufferedEvent, ReplayBuffer } from '../src/hub/replay-buffer.ts';
import { eventId, parseEventId } from '../src/protocol/stream-event.ts';

function entry(seq: number, size: number): BufferedEvent {
  return { seq, site: 's', channel: 0, pages: [], visitor: null, bytes: Buffer.alloc(size) };
}

test('a replay buffer returns all events after an id, or reports that it cannot', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 3000 }), fc.nat(3000), (sizes, after) => {
      const journal = new ReplayBuffer(10_000, 100);
      for (const [i, size] of sizes.entries()) journal.add(entry(i + 1, size));
      const kept = [...journal.after(0)];
      assert.ok(kept.length <= 100);
      assert.ok(kept.reduce((sum, { bytes }) => sum + bytes.length, 0) <= 10_000);
      const expected = sizes.map((_, i) => i + 1).filter((seq) => seq > after);
      const found = [...journal.after(after)].map(({ seq }) => seq);
      if (journal.reaches(after)) assert.deepEqual(found, expected);
      else assert.ok(found.length < expected.length);
    }),
  );
});

test('an event id is valid only in its own epoch', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-z]{1,10}$/), fc.nat(), (epoch, seq) => {
      assert.equal(parseEventId(eventId(epoch, seq), epoch), seq);
      assert.equal(parseEventId(eventId(`${epoch}x`, seq), epoch), undefined);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => parseEventId(text, 'abc') === undefined || text.startsWith('abc-')));
});
