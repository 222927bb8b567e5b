/**
 * Builds dist/: the server, and what browsers load under dist/public, by esbuild; the tracker's types by tsc.
 *   node build.mjs            everything
 *   node build.mjs --assets   only what browsers load; the tests run the server from its sources
 *   node build.mjs --size     prints the visitor script's size; exit code 1 above the limit
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

const root = dirname(fileURLToPath(import.meta.url));
const out = join(root, 'dist', 'public');
/** Bytes after gzip -9, the figure promised in the README. */
const SCRIPT_LIMIT = 3584;

/** Modules that start a process or thread: the command line, and those that src/server/package-files.ts starts. */
const ENTRIES = [
  'main',
  'store/thread/thread-main',
  'store/lmdb/file/check-process-main',
  'store/lmdb/file/count-thread-main',
];
/** It finds its binary by its own place. */
const APART = ['lmdb'];
/** What was made for CommonJS asks for Node's modules by `require`. */
const REQUIRE = "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);";

if (process.argv.includes('--size')) checkSize();
else {
  if (!process.argv.includes('--assets')) await buildServer();
  await buildAssets();
}

/**
 * Each process of a server loads some hundred modules, most of them of libraries. Bundled into a few files, of which a
 * process loads only those it needs, they take a third of the time.
 */
async function buildServer() {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: ENTRIES.map((name) => `src/${name}.ts`),
    outbase: 'src',
    outdir: 'dist',
    bundle: true,
    splitting: true,
    chunkNames: '[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: APART,
    banner: { js: REQUIRE },
    sourcemap: true,
    sourcesContent: false,
    // A worker then reads 1.8 MB instead of 2.7 MB. Without comments all of it is ASCII, so V8 stores one byte per
    // character instead of two.
    minifyWhitespace: true,
    lineLimit: 120,
    legalComments: 'linked',
    logLevel: 'warning',
  });
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
}

async function buildAssets() {
  rmSync(out, { recursive: true, force: true });
  const common = { bundle: true, minify: true, legalComments: 'none', logLevel: 'warning', absWorkingDir: root };
  // terser gives names and removes spaces: given what esbuild has shortened already, it finds less.
  const tracker = {
    ...common,
    minify: false,
    minifySyntax: true,
    target: 'es2021',
    tsconfigRaw: { compilerOptions: { alwaysStrict: false, strict: false, verbatimModuleSyntax: true } },
  };
  await build({
    ...tracker,
    entryPoints: ['src/tracker/script.ts'],
    outfile: join(out, 'fieldmouse.js'),
    format: 'iife',
  });
  await build({
    ...tracker,
    entryPoints: ['src/tracker/tracker.ts'],
    outfile: join(out, 'fieldmouse.mjs'),
    format: 'esm',
  });
  await shrink(join(out, 'fieldmouse.js'), false);
  await shrink(join(out, 'fieldmouse.mjs'), true);
  await build({
    ...common,
    entryPoints: { app: 'src/dashboard/shell/main.tsx', style: 'src/dashboard/shell/style.css' },
    outdir: join(out, 'admin'),
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.svg': 'dataurl', '.woff2': 'file' },
  });
  mkdirSync(join(out, 'admin'), { recursive: true });
  for (const name of ['index.html', 'missing.html'])
    cpSync(join(root, 'src/dashboard/shell', name), join(out, 'admin', name));
  cpSync(join(root, 'src/demo'), join(out, 'demo'), { recursive: true });
  for (const folder of ['admin', 'demo']) compress(join(out, folder));
}

/** Every visitor loads the script: what terser saves after esbuild counts. */
async function shrink(path, module) {
  const { code } = await minify(withArrows(readFileSync(path, 'utf8')), {
    module,
    ecma: 2020,
    compress: {
      passes: 4,
      hoist_funs: true,
      keep_fargs: false,
      pure_getters: true,
      unsafe: true,
      unsafe_arrows: true,
      unsafe_comps: true,
      unsafe_methods: true,
      unsafe_proto: true,
    },
  });
  writeFileSync(path, code);
}

/**
 * Turns the top-level functions that esbuild prints into arrow functions, and all top-level variables into one kind, so
 * that terser joins them: that saves 2% of the script. None of the functions uses `this` or `arguments`.
 */
function withArrows(code) {
  const depth = /^ *(?=var|let|const|function)/m.exec(code)[0];
  return code
    .replace(new RegExp(`^${depth}(async )?function (\\w+)\\((.*)\\) \\{\n([^]*?)^${depth}\\}`, 'gm'), toArrow)
    .replace(new RegExp(`^${depth}(var|const) `, 'gm'), `${depth}let `);

  function toArrow(_, async = '', name, parameters, body) {
    return `${depth}let ${name} = ${async}(${parameters}) => {\n${body}${depth}};`;
  }
}

/** Puts `X.br` and `X.gz` beside each file worth it; the server sends them to browsers that take them. */
function compress(folder) {
  for (const name of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, name));
    if (bytes.length < 1024 || !/\.(html|css|js|svg)$/.test(name)) continue;
    writeFileSync(join(folder, `${name}.br`), brotliCompressSync(bytes));
    writeFileSync(join(folder, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  }
}

function checkSize() {
  const bytes = gzipSync(readFileSync(join(out, 'fieldmouse.js')), { level: 9 }).length;
  console.log(`fieldmouse.js: ${bytes} bytes gzipped, limit ${SCRIPT_LIMIT}`);
  if (bytes > SCRIPT_LIMIT) process.exitCode = 1;
}
