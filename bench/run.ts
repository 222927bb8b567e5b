/** `npm run bench [-- NAME]`: runs the benches, or the one named, and prints what they measured. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { delivery } from './delivery.ts';

const BENCHES: Record<string, () => Promise<Record<string, string>>> = {
  delivery,
};

const names = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const unknown = names.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`no such bench: ${unknown.join(', ')}; there are: ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
execFileSync(process.execPath, ['build.mjs'], { stdio: 'inherit' });
console.log(`${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} CPUs, Node ${process.version}\n`);
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  console.log(`## ${name}\n`);
  const figures = await (BENCHES[name] as () => Promise<Record<string, string>>)();
  for (const [what, value] of Object.entries(figures)) console.log(`| ${what} | ${value} |`);
  console.log('');
}
