/**
 * Runs before the tests. Builds dist/ if it is older than its sources, and the tests. Installs missing programs with
 * apt-get if that needs no password; otherwise prints what to install.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { isBuilt, ROOT } from './built.ts';
import { CHROMIUM, findProgram } from './programs.ts';
import { buildTests } from './test-build.ts';

/** Programs by name, the best first, and the Debian packages that contain them. */
const PROGRAMS = [
  { names: CHROMIUM.any, packages: ['chromium-headless-shell', 'chromium'] },
  { names: CHROMIUM.full, packages: ['chromium'] },
  { names: ['nginx'], packages: ['nginx-light'] },
  { names: ['redis-server'], packages: ['redis-server'] },
  { names: ['openssl'], packages: ['openssl'] },
  { names: ['script'], packages: ['bsdutils'] },
];

if (!isBuilt()) execFileSync(process.execPath, ['build.mjs'], { cwd: ROOT, stdio: 'inherit' });
await buildTests();
install();
const packages = missing().map((program) => program.packages[0]);
if (packages.length > 0) {
  console.error(`The tests need: ${packages.join(', ')}. On Debian: sudo apt-get install ${packages.join(' ')}`);
  process.exitCode = 1;
}

function missing() {
  return PROGRAMS.filter(({ names }) => !findProgram(names));
}

/** Installs missing programs, and programs better than the installed ones. */
function install(): void {
  const become = asRoot();
  if (!become) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args: string[]) => {
    const [command = '', ...rest] = [...become, 'apt-get', '-q', ...args];
    spawnSync(command, rest, { stdio: 'inherit', env });
  };
  if (missing().length > 0) apt('update');
  const wanted = PROGRAMS.filter(({ names }) => !findProgram(names.slice(0, 1))).flatMap(
    (program) => program.packages.find(isOffered) ?? [],
  );
  if (wanted.length > 0) apt('install', '-y', '--no-install-recommends', ...wanted);
}

function isOffered(name: string): boolean {
  return spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0;
}

/**
 * Returns what to put before a command to run it as root without a password: nothing, sudo, or undefined if impossible.
 */
function asRoot(): string[] | undefined {
  if (!findProgram(['apt-get'])) return undefined;
  if (process.getuid?.() === 0) return [];
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : undefined;
}
