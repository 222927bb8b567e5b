/** Which folder may import which. `npm run lint` runs this test, too. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What every other folder of the server may import, each with what it may import itself. */
const BASE: Record<string, readonly string[]> = {
  lib: [],
  model: [],
  protocol: ['model'],
  log: ['lib'],
  config: ['lib', 'redis'],
  server: ['lib', 'config', 'protocol'],
};
/** The other folders of src/, and what each may import besides BASE. */
const PARTS: Record<string, readonly string[]> = {
  redis: [],
  broker: ['redis'],
  cluster: [],
  ingest: [],
  relay: [],
  hub: [],
  metrics: [],
  heat: [],
  replay: [],
  store: ['redis'],
  http: ['heat', 'replay'],
  commands: ['store', 'redis', 'broker'],
};
/** They run in browsers, and import only what needs no Node. */
const BROWSER: Record<string, readonly string[]> = {
  dashboard: ['lib', 'model', 'protocol'],
  tracker: ['protocol'],
};
/** The entry point and the two files that wire the folders together may import everything. */
const ROOTS = ['main.ts', 'primary.ts', 'worker.ts'];
/** Modules that may fork processes. */
const FORKS = ['cluster', 'main.ts'];
/** Modules that may import each other: to be small, the visitor script keeps its state in variables of modules. */
const CIRCLES = ['beat', 'connection', 'hello', 'outbox', 'sampler', 'tracker'].map((name) => `src/tracker/${name}.ts`);

interface Import {
  file: string;
  /** The file that is imported, or the name of a package. */
  to: string;
  isOurs: boolean;
}

function sourcesIn(folder: string): string[] {
  const files = readdirSync(ROOT + folder, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => /\.tsx?$/.test(file)).map((file) => posix.join(folder, file));
}

/** Imports of a file, of types too; templates that print an import are none. */
function importsOf(file: string): Import[] {
  const text = readFileSync(ROOT + file, 'utf8');
  const found = text.matchAll(/^(?:import|export|\}).*? from '([^']+)';$|^import '([^']+)';$|\bimport\('([^']+)'\)/gm);
  return [...found].map(([, a, b, c]) => {
    const to = (a ?? b ?? c) as string;
    const isOurs = to.startsWith('.');
    return { file, to: isOurs ? posix.join(posix.dirname(file), to) : packageOf(to), isOurs };
  });
}

function packageOf(name: string): string {
  if (name.startsWith('node:')) return name;
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

/** `hub` of `src/hub/hub.ts`, `main.ts` of `src/main.ts`. */
function placeOf(file: string): string {
  return file.split('/')[1] as string;
}

const imports = sourcesIn('src').flatMap(importsOf);

test('a folder imports only the folders allowed for it', () => {
  const bad = imports.filter(({ file, to, isOurs }) => {
    const [from, place] = [placeOf(file), placeOf(to)];
    if (!isOurs || from === place || ROOTS.includes(from)) return false;
    return !to.startsWith('src/') || !allowedIn(from).includes(place);
  });
  assert.deepEqual(bad.map(lineOf), []);
});

test('every folder is listed', () => {
  const folders = readdirSync(`${ROOT}src`).filter((name) => !ROOTS.includes(name) && name !== 'demo');
  assert.deepEqual(folders.sort(), Object.keys({ ...BASE, ...PARTS, ...BROWSER }).sort());
});

function allowedIn(folder: string): readonly string[] {
  const base = BASE[folder] ?? BROWSER[folder];
  return base ?? [...Object.keys(BASE), ...(PARTS[folder] ?? [])];
}

test('each package is imported by one folder', () => {
  const users = new Map<string, Set<string>>();
  for (const { file, to, isOurs } of imports)
    if (!isOurs && !to.startsWith('node:')) users.set(to, (users.get(to) ?? new Set()).add(placeOf(file)));
  const shared = [...users].filter(([, places]) => places.size > 1);
  assert.deepEqual(
    shared.map(([name, places]) => `${name} is imported by ${[...places].join(' and ')}`),
    [],
  );
});

test('code for browsers imports nothing of Node, directly or indirectly', () => {
  const graph = graphOf(sourcesIn('src'));
  const files = sourcesIn('src').filter((file) => placeOf(file) in BROWSER);
  const bad = imports.filter(({ to, isOurs }) => !isOurs && to.startsWith('node:'));
  const found = bad.filter(({ file }) => files.some((start) => start === file || reaches(graph, start, file)));
  assert.deepEqual(found.map(lineOf), []);
});

test('only the supervisor and the entry point fork', () => {
  const bad = imports.filter(({ file, to }) => to === 'node:cluster' && !FORKS.includes(placeOf(file)));
  assert.deepEqual(bad.map(lineOf), []);
});

test('no modules import each other in a circle', () => {
  const graph = graphOf(['src', 'bench', 'test'].flatMap(sourcesIn));
  const circles = [...graph.keys()].filter((file) => reaches(graph, file, file)).sort();
  assert.deepEqual(circles, CIRCLES);
});

/** The files that each of these imports. */
function graphOf(files: readonly string[]): Map<string, string[]> {
  const ours = (file: string) => importsOf(file).flatMap(({ to, isOurs }) => (isOurs ? [to] : []));
  return new Map(files.map((file) => [file, ours(file)]));
}

/** True if `file` imports `target`, itself or through others. */
function reaches(graph: ReadonlyMap<string, readonly string[]>, file: string, target: string): boolean {
  const seen = new Set<string>();
  const open = [...(graph.get(file) ?? [])];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next === target) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    open.push(...(graph.get(next) ?? []));
  }
  return false;
}

function lineOf({ file, to }: Import): string {
  return `${file} imports ${to}`;
}
