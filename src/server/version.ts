import { readFileSync } from 'node:fs';
import { packageFile } from './package-files.ts';

/** The version of this package, as in `--version`. */
export const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };
