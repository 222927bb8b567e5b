import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The file that build.mjs writes last. */
const LAST_BUILT = join(ROOT, 'dist/public/demo/index.html');
const SOURCES = ['src', 'build.mjs', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

/** Returns true if dist/ is newer than everything it is built from. */
export function isBuilt(): boolean {
  const built = statSync(LAST_BUILT, { throwIfNoEntry: false });
  return built !== undefined && SOURCES.every((name) => lastChange(join(ROOT, name)) <= built.mtimeMs);
}

/** Time of the last change of a file, or of any file in a folder, Unix ms. */
function lastChange(path: string): number {
  const stat = statSync(path);
  const within = stat.isDirectory() ? readdirSync(path).map((name) => lastChange(join(path, name))) : [];
  return Math.max(stat.mtimeMs, ...within);
}
