/** Who may import whom. `npm run lint` runs this, too. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * The folders of src/, and which others each may import. All may import protocol/ and the small files beside main.ts,
 * which import no folder but those of LOOSE.
 */
const FOLDERS: Record<string, readonly string[]> = {
  protocol: [],
  redis: [],
  broker: ['redis'],
  cluster: [],
  ingest: [],
  relay: [],
  hub: [],
  metrics: [],
  heat: [],
  rewind: [],
  store: ['redis'],
  http: ['heat', 'rewind'],
  commands: ['store', 'redis', 'broker'],
  dashboard: [],
  tracker: [],
};
/** What the files beside main.ts may import besides each other: options name Redis servers. */
const LOOSE = ['protocol', 'redis'];
/** The entry point and the two files that wire the folders together may import everything. */
const ROOTS = ['main.ts', 'primary.ts', 'worker.ts'];
/** They run in browsers. */
const BROWSER = ['dashboard', 'tracker'];
/** Modules that may fork processes. */
const FORKS = ['cluster', 'main.ts'];
/** Modules that may import each other in a circle: the visitor script keeps its state in variables of modules, to be small. */
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

/** `hub` of `src/hub/hub.ts`, `config.ts` of `src/config.ts`. */
function placeOf(file: string): string {
  return file.split('/')[1] as string;
}

const imports = sourcesIn('src').flatMap(importsOf);

test('a folder imports only those that it may', () => {
  const bad = imports.filter(({ file, to, isOurs }) => {
    const [from, place] = [placeOf(file), placeOf(to)];
    if (!isOurs || from === place || ROOTS.includes(from)) return false;
    if (!to.startsWith('src/')) return true;
    const isLoose = !(place in FOLDERS);
    const allowed = FOLDERS[from] ? ['protocol', ...FOLDERS[from]] : LOOSE;
    return isLoose ? ROOTS.includes(place) : !allowed.includes(place);
  });
  assert.deepEqual(bad.map(lineOf), []);
});

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

test('what runs in browsers imports nothing of Node, and only cluster forks', () => {
  const bad = imports.filter(({ file, to }) => {
    const place = placeOf(file);
    if (to === 'node:cluster') return !FORKS.includes(place);
    return to.startsWith('node:') && BROWSER.includes(place);
  });
  assert.deepEqual(bad.map(lineOf), []);
});

test('no modules import each other in a circle', () => {
  const graph = new Map<string, string[]>();
  for (const folder of ['src', 'bench', 'test'])
    for (const file of sourcesIn(folder))
      graph.set(
        file,
        importsOf(file).flatMap(({ to, isOurs }) => (isOurs ? [to] : [])),
      );
  const circles = [...graph.keys()].filter((file) => reaches(graph, file, file)).sort();
  assert.deepEqual(circles, CIRCLES);
});

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
