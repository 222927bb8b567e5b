/** Programs that the tests start and npm does not install. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian installs servers in /usr/sbin, which may be missing from PATH. */
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];

/** Names of Chromium. The headless shell starts in half the time, but has no back-forward cache. */
const FULL_CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'];
export const CHROMIUM = { any: ['chromium-headless-shell', ...FULL_CHROMIUM], full: FULL_CHROMIUM };

/** A browser without a GPU that does nothing unasked. */
export const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Returns the path of the first of these programs that is installed. */
export function findProgram(names: readonly string[]): string | undefined {
  const paths = names.flatMap((name) => FOLDERS.map((folder) => join(folder, name)));
  return paths.find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
