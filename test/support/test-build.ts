/**
 * Bundles the tests before they run. Without this, each test file takes half a second of CPU to compile its modules.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { ROOT } from './built.ts';

const OUT = 'artifacts/tests';
/** Modules of support/ that tests fork. */
const FORKED = ['store-process', 'lock-process', 'compaction-process'];

/** Modules that load others by their own place: where they stand once built. */
const MOVED: Readonly<Record<string, string>> = {
  'src/server/package-files.ts': 'dist/main.js',
  'test/support/fork-module.ts': `${OUT}/support/fork-module.js`,
};

/** All other modules read files beside their sources, so they keep the places of those. */
const places: Plugin = {
  name: 'places',
  setup({ onLoad }) {
    onLoad({ filter: /\/(src|test|bench)\/.*\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      if (!source.includes('import.meta.')) return undefined;
      const place = join(ROOT, MOVED[relative(ROOT, path)] ?? relative(ROOT, path));
      const contents = source
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(place).href))
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(place)));
      return { contents, loader: 'ts' };
    });
  },
};

/** Builds test/X.test.ts to artifacts/tests/X.test.js. They start the server in dist/, so that must be built, too. */
export async function buildTests(): Promise<void> {
  rmSync(join(ROOT, OUT), { recursive: true, force: true });
  const tests = readdirSync(join(ROOT, 'test')).filter((name) => name.endsWith('.test.ts'));
  await build({
    absWorkingDir: ROOT,
    entryPoints: [...tests.map((name) => `test/${name}`), ...FORKED.map((name) => `test/support/${name}.ts`)],
    outbase: 'test',
    outdir: OUT,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
    plugins: [places],
  });
}
