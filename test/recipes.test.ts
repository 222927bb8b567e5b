/** Follows the recipes of docs/architecture.md literally, in a copy of the sources. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TEXT = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');

test('a recipe names only existing files and folders', () => {
  const recipes = TEXT.slice(TEXT.indexOf('## Recipes'));
  const paths = [...recipes.matchAll(/`((?:src|docs|test)\/[\w./-]+)`/g)].map(([, path]) => path as string);
  assert.ok(paths.length > 20);
  assert.deepEqual(
    paths.filter((path) => !existsSync(join(ROOT, path))),
    [],
  );
});

test('the recipe of an option adds a flag, a variable and a line of --help', (t) => {
  const { folder, run } = copyOf(t);
  insert(join(folder, 'src/config/config.ts'), 'export const OPTIONS = {\n', codeOf('Add an option'));
  assert.match(run('start', '--help'), /--max-bookmarks N[^-]*maximum number of bookmarks per site/);
  assert.match(
    fault(() => run('--max-bookmarks', '0')),
    /--max-bookmarks/,
  );
});

test('the recipe of a command adds a working command with help', (t) => {
  const { folder, run } = copyOf(t);
  writeFileSync(join(folder, 'src/commands/bookmark-commands.ts'), codeOf('Add a command'));
  const commands = join(folder, 'src/commands/commands.ts');
  insert(commands, '  Object.entries({\n', '...BOOKMARK_COMMANDS,\n');
  writeFileSync(
    commands,
    `import { BOOKMARK_COMMANDS } from './bookmark-commands.ts';\n${readFileSync(commands, 'utf8')}`,
  );
  assert.match(run('help', 'bookmarks count'), /rints the number of sites that can have bookmarks/);
  assert.match(
    fault(() => run('bookmarks', 'cuont')),
    /did you mean count/,
  );
});

test('a published mark does not compile until each file of its recipe handles it', (t) => {
  const { folder } = copyOf(t);
  cpSync(join(ROOT, 'tsconfig.json'), join(folder, 'tsconfig.json'));
  const marks = join(folder, 'src/model/mark.ts');
  insert(marks, 'export type Mark =\n', "  | { type: 'copy'; x: number; y: number }\n");
  insert(marks, 'export const PUBLISHED_MARKS = {', " copy: 'copies',");
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '--noEmit', '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const files = new Set([...stdout.matchAll(/^(src\/\S+)\(/gm)].map(([, file]) => file as string));
  assert.deepEqual([...files].sort(), [
    'src/dashboard/live/event-readers.ts',
    'src/dashboard/live/live-state.ts',
    'src/protocol/encode.ts',
    'src/protocol/mark-codec.ts',
    'src/store/record/aggregator.ts',
  ]);
  const section = TEXT.slice(TEXT.indexOf('### Add a stream event'));
  for (const file of files) assert.ok(section.includes(`\`${file}\``), file);
});

/** The sources in a folder of their own, and a way to run their command line. */
function copyOf(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-recipe-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'data'));
  for (const name of ['src', 'package.json']) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const run = (...args: string[]) => {
    const main = join(folder, 'dist/main.js');
    if (!existsSync(main)) bundle(folder);
    return execFileSync(process.execPath, [main, ...args], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  };
  return { folder, run };
}

/** Joins the command line to few files, as the build does; to compile each module at each run takes 0.8 s. */
function bundle(folder: string): void {
  buildSync({
    absWorkingDir: folder,
    entryPoints: ['src/main.ts'],
    outdir: 'dist',
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
  });
}

/** The block of code of a recipe. */
function codeOf(recipe: string): string {
  const [, code] = /```ts\n([\s\S]*?)```/.exec(TEXT.slice(TEXT.indexOf(`### ${recipe}`))) ?? [];
  return code ?? assert.fail(`no code in ${recipe}`);
}

function insert(path: string, after: string, text: string): void {
  const whole = readFileSync(path, 'utf8');
  assert.ok(whole.includes(after), `${path} has ${after}`);
  writeFileSync(
    path,
    whole.replace(after, () => after + text),
  );
}

/** What a command prints when it refuses. */
function fault(work: () => string): string {
  try {
    return assert.fail(work());
  } catch (error) {
    return (error as { stderr?: string }).stderr ?? '';
  }
}
