/**
 * Files of our own that are found by their place. This module lies beside main.ts, as source and as built: whatever build.mjs joins
 * into one file stays in that folder.
 */
const here = new URL('.', import.meta.url);

/** `.ts` while run from the sources, `.js` as built. */
const MODULE_TYPE = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** A module that runs in a process or thread of its own; `name` is its path below this folder, without the ending. */
export function moduleFile(name: string): URL {
  return new URL(name + MODULE_TYPE, here);
}

/** What browsers load, which is always built. */
export const publicFolder = new URL(MODULE_TYPE === '.ts' ? '../dist/public/' : 'public/', here);

export const packageFile = new URL('../package.json', here);
