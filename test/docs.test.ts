import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OPTIONS } from '../src/config.ts';
import { CLOSE } from '../src/protocol/close.ts';

function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

test('docs/configuration.md has every option with its environment and default', () => {
  const text = read('docs/configuration.md');
  for (const { flag, env, preset, help } of Object.values(OPTIONS)) {
    const row = text.split('\n').find((line) => line.includes(`--${flag} `)) ?? '';
    for (const name of env) assert.ok(row.includes(`\`${name}\``), `${name} in the row of --${flag}`);
    if (typeof preset === 'string' && preset !== '')
      assert.ok(row.includes(`| \`${preset}\` |`), `default of --${flag}`);
    assert.ok(row.includes(help), `text of --${flag}`);
  }
});

test('docs/protocol.md has every close code and every fault of a frame', () => {
  const text = read('docs/protocol.md');
  for (const [name, code] of Object.entries(CLOSE)) assert.ok(text.includes(`| ${code} | \`${name}\` |`), name);
  const codes = read('src/protocol/errors.ts').matchAll(/\| '([a-z-]+)'/g);
  for (const [, code] of codes) assert.ok(text.includes(`\`${code}\``), code);
});
