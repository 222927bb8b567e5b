import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NumberedChannel } from '../src/protocol/channel.ts';
import type { Arrival } from '../src/protocol/ipc.ts';
import { ChannelIndex } from '../src/relay/channel-index.ts';

const site = fc.constantFrom('a', 'b');
const page = fc.constantFrom('/', '/1', '/2');
const visitor = fc.constantFrom('v', 'w');
const channel: fc.Arbitrary<NumberedChannel> = fc.record({
  no: fc.integer({ min: 1, max: 8 }),
  site,
  page: fc.option(page),
  visitor: fc.option(visitor),
  moves: fc.constantFrom('full', 'latest', 'none'),
});
const change = fc.oneof(channel, fc.integer({ min: 1, max: 8 }));

test('a visitor has the buffers of exactly the channels that show its moves, whatever was opened and closed', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), site, page, visitor, (changes, ...[key, path, id]) => {
      const index = new ChannelIndex();
      const open = new Map<number, NumberedChannel>();
      for (const one of changes)
        if (typeof one === 'number') {
          index.remove(one);
          open.delete(one);
        } else {
          index.add(one);
          open.set(one.no, one);
        }
      const expected = [...open.values()].filter(
        (one) => one.moves !== 'none' && one.site === key && (one.page ?? path) === path && (one.visitor ?? id) === id,
      );
      const found = index.buffersOf({ site: key, page: path, id } as Arrival);
      assert.deepEqual(new Set(found.map((buffer) => buffer.channel)), new Set(expected));
      assert.equal(found.length, expected.length);
      assert.equal(
        index.hasSite(key),
        [...open.values()].some((one) => one.site === key),
      );
      assert.deepEqual(new Set([...index.values()].map((buffer) => buffer.channel)), new Set(open.values()));
    }),
  );
});
