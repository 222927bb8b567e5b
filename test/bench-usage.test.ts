/** The command lines of the programs behind `npm run NAME -- …`, run as processes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { helpText, number, readCall, UsageFault } from '../bench/usage.ts';

const root = new URL('../', import.meta.url);
const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));

/** Runs the script of package.json with further words, without npm. */
function run(name: string, ...words: string[]) {
  const [, ...args] = scripts[name].split(' ') as string[];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, ...words], {
    cwd: fileURLToPath(root),
    encoding: 'utf8',
  });
  return { status, out: stdout, err: stderr };
}

for (const [name, slip, fault] of [
  ['bench', 'jsno', 'jsno: there is no such bench; did you mean json?'],
  ['soak', '--minute=3', '--minute: there is no such option; did you mean --minutes?'],
  ['attack', 'chrun', 'chrun: there is no such attack; did you mean churn?'],
  ['fuzz', '--inputs=many', '--inputs: "many" is not a whole number from 1 to 1000000000'],
] as const)
  test(`npm run ${name} prints its usage, and reports an error in one line`, () => {
    const help = run(name, '--help');
    assert.deepEqual([help.status, help.err], [0, '']);
    assert.ok(help.out.startsWith(`Usage\n  npm run ${name} -- `));
    assert.match(help.out, /\btakes? .*\b(minutes|seconds)\b/is);
    for (const line of help.out.split('\n')) assert.ok(line.length <= 80, line);
    const wrong = run(name, slip);
    assert.deepEqual([wrong.status, wrong.out], [2, '']);
    assert.equal(wrong.err, `${name}: ${fault} (npm run ${name} -- --help says more)\n`);
  });

const USAGE = {
  name: 'try',
  does: 'Tries.',
  takes: 'Takes no time.',
  options: { long: { text: 'longer' }, count: { value: 'N', text: 'how many', check: number(1, 5) } },
};
const WITH_WORDS = { ...USAGE, words: { called: 'part', known: ['one', 'two'] } };

test('arguments, switches and values are parsed in any order', () => {
  assert.deepEqual(readCall(USAGE, []), { words: [], values: {} });
  const call = { words: ['two', 'one'], values: { long: '', count: '3' } };
  assert.deepEqual(readCall(WITH_WORDS, ['two', '--long', 'one', '--count', '3']), call);
  assert.match(helpText(WITH_WORDS), /^Usage\n {2}npm run try -- \[NAME …\] \[--long\] \[--count N\]\n/);
});

test('an error names the invalid argument and the valid ones', () => {
  const faultOf = (usage: typeof USAGE, ...argv: string[]) => {
    try {
      return readCall(usage, argv);
    } catch (error) {
      assert.ok(error instanceof UsageFault);
      return error.message;
    }
  };
  assert.equal(faultOf(USAGE, 'one'), 'one: it takes no words, only options');
  assert.equal(faultOf(WITH_WORDS, 'tow'), 'tow: there is no such part; did you mean two?');
  assert.equal(faultOf(USAGE, '--constructor'), '--constructor: there is no such option');
  assert.equal(faultOf(USAGE, '--long=3'), '--long: it takes no value');
  assert.equal(faultOf(USAGE, '--count'), '--count: it needs a value (N)');
  assert.equal(faultOf(USAGE, '--count', '6'), '--count: "6" is not a whole number from 1 to 5');
  assert.equal(faultOf(USAGE, '--count='), '--count: "" is not a whole number from 1 to 5');
});
