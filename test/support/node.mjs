/**
 * Runs the tests on another Node.js: `npm run test:node -- 24 [FILE…]`, without files all of them. The npm package
 * `node` has the binary in one package for each system, which is taken as it is: no install script runs.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const [version = '', ...names] = process.argv.slice(2);
const files = names.map((name) => name.replace(/^test\/(.*)\.ts$/, 'artifacts/tests/$1.js'));
if (!/^\d+(\.\d+){0,2}$/.test(version)) {
  console.error('npm run test:node -- VERSION [FILE…], as 24 or 22.20.0');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'node-'));
// Tests start it as other users, too.
chmodSync(folder, 0o755);
try {
  process.exitCode = test(install());
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Returns the folder of the binary. */
function install() {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const args = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  execFileSync('npm', [...args, `${name}@${version}`], { stdio: 'inherit', cwd: folder });
  return join(folder, 'node_modules', name, 'bin');
}

/** Runs what `npm test` runs, with that binary first in PATH. Returns the exit code. */
function test(bin) {
  const env = { ...process.env, PATH: bin + delimiter + process.env.PATH };
  console.log(`Node.js ${execFileSync('node', ['--version'], { env, encoding: 'utf8' }).trim()}`);
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const all = 'artifacts/tests/*.test.js';
  const command = `${scripts.pretest} && ${scripts.test.replace(all, files.length > 0 ? '"$@"' : all)}`;
  return spawnSync('sh', ['-c', command, 'sh', ...files], { cwd: root, env, stdio: 'inherit' }).status ?? 1;
}
