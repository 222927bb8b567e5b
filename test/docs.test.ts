import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MANUALS } from '../src/commands/commands.ts';
import { COMMAND_FLAGS } from '../src/commands/flags.ts';
import { OPTIONS } from '../src/config/config.ts';
import { CLOSE } from '../src/protocol/close.ts';
import { PROBLEMS } from '../src/protocol/problems.ts';

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

test('docs/configuration.md lists every option with its environment variable and default', () => {
  const text = read('docs/configuration.md');
  for (const { flag, env, preset, help } of Object.values(OPTIONS)) {
    const isRow = (line: string) => new RegExp(`^\\| [^|]*--${flag}[^a-z-][^|]*\\|`).test(line);
    const row = text.split('\n').find(isRow) ?? '';
    for (const name of env) assert.ok(row.includes(`\`${name}\``), `${name} in the row of --${flag}`);
    if (typeof preset === 'string' && preset !== '')
      assert.ok(row.includes(`| \`${preset}\` |`), `default of --${flag}`);
    assert.ok(row.includes(help), `text of --${flag}`);
  }
});

test('docs/protocol.md lists every close code and every frame error', () => {
  const text = read('docs/protocol.md');
  for (const [name, code] of Object.entries(CLOSE)) assert.ok(text.includes(`| ${code} | \`${name}\` |`), name);
  const codes = read('src/protocol/frame-error.ts').matchAll(/\| '([a-z-]+)'/g);
  for (const [, code] of codes) assert.ok(text.includes(`\`${code}\``), code);
});

test('docs/protocol.md lists every problem with its statuses and meaning, and no other', () => {
  const section = read('docs/protocol.md').split('## 10. Problems')[1]?.split('### Health')[0] ?? '';
  const rows = section.split('\n').filter((line) => /^\| `/.test(line));
  const expected = Object.entries(PROBLEMS).map(
    ([code, { statuses, meaning }]) => `| \`${code}\` | ${statuses.join(', ')} | ${meaning} |`,
  );
  assert.deepEqual(rows, expected);
});

/** Command lines in a page: in code, after our name or our entry. */
function commandsIn(text: string): string[] {
  const code = [...text.matchAll(/^```[a-z]*\n([\s\S]*?)^```|`([^`\n]+)`/gm)].map(
    ([, block, inline]) => block ?? inline,
  );
  return code.flatMap((piece) =>
    [...(piece ?? '').matchAll(/(?:^(?:.*npx )?fieldmouse|dist\/main\.js) ([a-z].*)$/gm)].map(
      ([, line]) => (line as string).split(/ +# |[<>|;&] /)[0] as string,
    ),
  );
}

test('the README lists every command, and the docs name no command or flag that does not exist', () => {
  const readme = read('README.md');
  for (const name of MANUALS.keys()) {
    const [first, verb = ''] = name.split(' ');
    const row = new RegExp(`^\\|.*\`[^\`]*\\b${first}\\b.*${verb}`, 'm');
    assert.match(readme, row, name);
  }
  const flags = [...Object.values(OPTIONS).map(({ flag }) => flag as string), ...COMMAND_FLAGS, 'help', 'version'];
  const pages = (readdirSync(new URL('../docs', import.meta.url), { recursive: true }) as string[])
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  let lines = 0;
  for (const page of ['README.md', ...pages])
    for (const line of commandsIn(read(page))) {
      lines += 1;
      const [first = '', verb = ''] = line.split(' ');
      const isKnown = MANUALS.has(first) || MANUALS.has(`${first} ${verb}`);
      assert.ok(isKnown, `${page}: ${line}`);
      for (const [, flag = ''] of line.matchAll(/ --([a-z-]+)/g)) assert.ok(flags.includes(flag), `${page}: ${line}`);
    }
  assert.ok(lines > 40, String(lines));
});
