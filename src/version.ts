import { readFileSync } from 'node:fs';

const file = new URL('../package.json', import.meta.url);

/** Of this package, as in `--version`. */
export const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
