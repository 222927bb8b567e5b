/**
 * Before the tests: builds dist/ unless it is newer than all sources, and sees to the programs that npm does not install. Those are
 * installed with apt-get where that can be done without a question; otherwise one line says what to install.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Programs that the tests start, and the Debian packages that bring them; the tests take the first there is. */
const PROGRAMS = [
  {
    // The headless shell starts in half the time.
    names: ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'],
    packages: ['chromium-headless-shell', 'chromium'],
  },
  // The headless shell has no back-forward cache.
  { names: ['chromium', 'chromium-browser', 'google-chrome'], packages: ['chromium'] },
  { names: ['nginx'], packages: ['nginx-light'] },
  { names: ['redis-server'], packages: ['redis-server'] },
  { names: ['openssl'], packages: ['openssl'] },
  { names: ['script'], packages: ['bsdutils'] },
];

/** Debian has servers in /usr/sbin, which is not on everybody's path. */
const SEARCHED = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** What build.mjs writes last. */
const LAST_BUILT = join(root, 'dist/public/demo/index.html');
const SOURCES = ['src', 'build.mjs', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

if (!isBuilt()) execFileSync(process.execPath, ['build.mjs'], { cwd: root, stdio: 'inherit' });
install();
const packages = missing().map((program) => program.packages[0]);
if (packages.length > 0) {
  console.error(`The tests need: ${packages.join(', ')}. On Debian: sudo apt-get install ${packages.join(' ')}`);
  process.exitCode = 1;
}

/** `npm ci` has built it already, most often. */
function isBuilt() {
  const built = statSync(LAST_BUILT, { throwIfNoEntry: false });
  return built !== undefined && SOURCES.every((name) => newest(join(root, name)) <= built.mtimeMs);
}

/** When a file, or any file in a folder, was changed last. */
function newest(path) {
  const stat = statSync(path);
  const within = stat.isDirectory() ? readdirSync(path).map((name) => newest(join(path, name))) : [];
  return Math.max(stat.mtimeMs, ...within);
}

function missing() {
  return PROGRAMS.filter(({ names }) => !names.some(isOnPath));
}

function isOnPath(name) {
  return SEARCHED.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Installs what is missing, and what is better than what is there. Does nothing where it may not install. */
function install() {
  const become = asRoot();
  if (!become) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => {
    const [command, ...rest] = [...become, 'apt-get', '-q', ...args];
    spawnSync(command, rest, { stdio: 'inherit', env });
  };
  if (missing().length > 0) apt('update');
  const wanted = PROGRAMS.filter(({ names: [best] }) => !isOnPath(best)).flatMap(
    ({ packages }) => packages.find(isOffered) ?? [],
  );
  if (wanted.length > 0) apt('install', '-y', '--no-install-recommends', ...wanted);
}

function isOffered(name) {
  return spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0;
}

/** What to put before a command to run it as root without a question: nothing, sudo, or undefined. */
function asRoot() {
  if (!isOnPath('apt-get')) return undefined;
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}
