/** A process that locks folders on request, for tests of the lock. It runs until its parent disconnects. */
import { lockFolder } from '../../src/server/folder-lock.ts';

let unlock = () => {};

process.on('message', async (folder: string | null) => {
  unlock();
  unlock = () => {};
  if (folder === null) return void process.send?.('free');
  try {
    unlock = await lockFolder(folder);
    process.send?.('held');
  } catch (error) {
    process.send?.((error as { code?: string }).code ?? 'unknown');
  }
});
