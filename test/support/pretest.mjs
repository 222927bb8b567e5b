/**
 * Before the tests: builds what browsers load and what PM2 starts, and sees to the programs that npm does not install. Those are
 * installed with apt-get where that can be done without a question; otherwise one line says what to install.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Programs the tests start, by any of their names, and the Debian package that brings them. */
const PROGRAMS = [
  { names: ['chromium', 'chromium-browser', 'google-chrome'], package: 'chromium' },
  { names: ['nginx'], package: 'nginx-light' },
  { names: ['redis-server'], package: 'redis-server' },
  { names: ['openssl'], package: 'openssl' },
  { names: ['script'], package: 'bsdutils' },
];

/** Debian has servers in /usr/sbin, which is not on everybody's path. */
const SEARCHED = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

execFileSync(process.execPath, ['build.mjs'], { cwd: root, stdio: 'inherit' });
install(missing());
const packages = missing();
if (packages.length > 0) {
  console.error(`The tests need: ${packages.join(', ')}. On Debian: sudo apt-get install ${packages.join(' ')}`);
  process.exitCode = 1;
}

function missing() {
  return PROGRAMS.filter(({ names }) => !names.some(isOnPath)).map((program) => program.package);
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

/** Does nothing where it may not install; what is missing is then still missing. */
function install(packages) {
  const become = asRoot();
  if (packages.length === 0 || !become) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...packages]]) {
    const [command, ...rest] = [...become, 'apt-get', '-q', ...args];
    spawnSync(command, rest, { stdio: 'inherit', env });
  }
}

/** What to put before a command to run it as root without a question: nothing, sudo, or undefined. */
function asRoot() {
  if (!isOnPath('apt-get')) return undefined;
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}
