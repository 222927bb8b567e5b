/** The record on a thread of its own: the contract suite. */
import assert from 'node:assert/strict';
import { ThreadArchive } from '../src/store/thread/thread-archive.ts';
import { contract, FEW, FOR_EVER_MS, inFolder } from './support/archive-contract.ts';
import { temporaryFolder, threadModule } from './support/server.ts';

const THREAD = threadModule('store/thread/thread-main');

contract(
  'the embedded record on a thread',
  async (t, { maxBytes = Number.POSITIVE_INFINITY, ...limits } = {}) => {
    const folder = temporaryFolder(t);
    const data = { folder, maxBytes, ...limits, retainMs: FOR_EVER_MS, durability: 'disk' } as const;
    return inFolder(t, folder, async () => {
      const archive = await ThreadArchive.start(data, assert.fail, undefined, undefined, THREAD);
      return { archive, close: () => archive.close() };
    });
  },
  { share: FEW, thorough: false },
);
