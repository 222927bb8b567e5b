/** Commands on the data folder, with and without a running server. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { COMMANDS, MANUALS, runCommand, showHelp } from '../src/commands/commands.ts';
import { COMMAND_FLAGS, type Flag } from '../src/commands/flags.ts';
import { readConfig } from '../src/config/config.ts';
import type { AuditEntry } from '../src/model/audit.ts';
import { OWNER } from '../src/model/rights.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { outputHere, runHere, run as spawned } from './support/command.ts';
import { FILE } from './support/owner.ts';
import { startRedis } from './support/redis.ts';
import { MAIN, spawnMain, startServer, temporaryFolder } from './support/server.ts';

const server = await startServer(FILE, { workers: 1 });

/** A store as a server's first start makes it. */
async function makeStore(data: string): Promise<void> {
  await (await openLmdbStore(data)).close();
}

/** A command line on a data folder of the test's own. */
function commandLine(t: TestContext) {
  const data = temporaryFolder(t);
  let made: Promise<void> | undefined;
  const run = async (line: string, ...more: string[]) => {
    made ??= makeStore(data);
    await made;
    return runHere([...line.split(' '), ...more, '--data', data]);
  };
  const store = async () => {
    const opened = await openLmdbStore(data);
    t.after(() => opened.close());
    return opened;
  };
  return { run, store, data };
}

test('admin add prints the address on which the server listens', async () => {
  const { out } = await spawned('admin', 'add', 'bob', '--data', server.data);
  assert.ok(out.includes(`  ${server.url}/admin/link/`), out);
});

test('commands exit silently when their output is closed', async (t) => {
  const { store, data } = commandLine(t);
  const records = await store();
  // More than a pipe holds.
  const on = 'x'.repeat(290);
  const note = (at: number) => records.note({ at, who: 'me', what: 'site-changed', on: `${at} ${on}` });
  await Promise.all(Array.from({ length: 500 }, (_, i) => note(1 + i)));
  await Promise.all(Array.from({ length: 1500 }, (_, i) => records.hit('demo', `/${i}/${'x'.repeat(80)}`)));
  for (const line of ['audit', 'audit --format ndjson', 'hits list', 'export', 'export --format csv']) {
    const child = spawnMain([...line.split(' '), '--data', data]);
    const [{ stdout, stderr }, exited] = [child as ChildProcessByStdio<null, Readable, Readable>, once(child, 'exit')];
    if (!line.startsWith('export')) await once(stdout, 'data');
    stdout.destroy();
    assert.equal(await text(stderr), '', line);
    assert.deepEqual(await exited, [0, null], line);
  }
  const mute = spawnMain(['no-such-command', '--data', data]);
  mute.stderr?.destroy();
  assert.deepEqual(await once(mute, 'exit'), [2, null]);
});

test('admin reset removes a forgotten password, ends the sessions and prints a link', async (t) => {
  const { run, store } = commandLine(t);
  const records = await store();
  const now = Date.now();
  assert.equal((await run('admin reset ada')).code, 1);
  await records.addAdmin('ada', now);
  await records.setPassword('ada', 'scrypt$x');
  const begun = await records.addSession('ada', 'test', now);
  const { code, out } = await run('admin reset ada');
  assert.equal(code, 0);
  assert.equal((await records.admin('ada'))?.password, null);
  assert.equal(await records.session(begun?.secret ?? '', now), undefined);
  const secret = /\/admin\/link\/([\w-]{43})$/m.exec(out)?.[1];
  assert.equal(await records.takeLink(secret as string, Date.now()), 'ada');
});

test('admin add prints a link that works, also for an existing administrator', async (t) => {
  const { run, store } = commandLine(t);
  const records = await store();
  for (const said of [/^Added administrator/, /already exists/]) {
    const { code, out } = await run('admin add ada', '--listen', 'tcp://0.0.0.0:8080');
    assert.equal(code, 0);
    assert.match(out, said);
    const secret = /^ {2}http:\/\/localhost:8080\/admin\/link\/([\w-]{43})$/m.exec(out)?.[1];
    assert.equal(await records.takeLink(secret as string, Date.now()), 'ada');
  }
});

test('admin add rejects a name that looks like an existing one', async (t) => {
  const { run, store } = commandLine(t);
  const records = await store();
  await run('admin add groß');
  for (const name of ['GROSS', 'gro\u200dß', 'Ｇroß', 'groß\u180b']) {
    const { code, err } = await run(`admin add ${name}`);
    assert.deepEqual([code, /looks like the existing administrator groß;/.test(err)], [1, true], name);
  }
  assert.equal((await run('admin add grob')).code, 0);
  assert.deepEqual((await records.admins()).map(({ name }) => name).sort(), ['grob', 'groß']);
});

test('admin add rejects a word that mixes scripts with similar letters', async (t) => {
  const { run, store } = commandLine(t);
  // Cyrillic, Greek, Armenian, Cherokee and Coptic letters among Latin ones; Greek among Cyrillic ones.
  for (const name of ['\u0430dmin', '\u03c1eter', 'o\u057dr', 'Ad\u13aa', 'd\u2c9fn', '\u0399\u0432\u0430\u043d']) {
    const { code, err } = await run(`admin add ${name}`);
    assert.deepEqual([code, /mixes scripts with letters that look alike/.test(err)], [1, true], name);
  }
  for (const name of ['Иван-Smith', '山田たろう', '田中A', 'Αννα', 'Անի', 'ＡＤＡ', 'k\u212a', 'ada-1'])
    assert.equal((await run(`admin add ${name}`)).code, 0, name);
  assert.equal((await (await store()).admins()).length, 8);
});

test('if no address is known, or only a socket file, the command says so and guesses none', async (t) => {
  const { run } = commandLine(t);
  for (const more of [[], ['--listen', 'unix:/tmp/x.sock']]) {
    const { out } = await run('admin add ada', ...more);
    assert.match(out, /^ {2}https:\/\/YOUR-HOST\/admin\/link\/[\w-]{43}$/m);
    assert.match(out, /^The server's address is not known here: replace https:\/\/YOUR-HOST with the address .*\.$/m);
  }
});

test('with Redis the command prints the address of the server whose folder is given, and guesses none without a folder', async (t) => {
  const redis = await startRedis(t);
  const server = await startServer(t, { flags: ['--redis', redis.url], workers: 1 });
  const [data, elsewhere] = [server.data, temporaryFolder(t)];
  const there = await spawned('admin', 'add', 'ada', '--redis', redis.url, '--data', data);
  assert.ok(there.out.includes(`  ${server.url}/admin/link/`), there.out);
  const { out } = await spawned('admin', 'add', 'ada', '--redis', redis.url, '--data', elsewhere);
  assert.match(out, /^ {2}https:\/\/YOUR-HOST\/admin\/link\//m);
});

test('admin list shows an administrator, and admin remove removes it', async (t) => {
  const { run, store } = commandLine(t);
  assert.match((await run('admin list')).out, /^No administrators yet/);
  await run('admin add ada');
  await run('admin add bartholomew');
  await (await store()).setPassword('ada', 'scrypt$x');
  const lines = (await run('admin list')).out.split('\n');
  assert.match(lines[0] ?? '', /^NAME {9}ADDED {17}SIGNS IN {6}ROLE {3}SITES$/);
  assert.match(lines[1] ?? '', /^ada {10}\d{4}-\d\d-\d\d \d\d:\d\d UTC {2}by password {3}owner {2}all$/);
  assert.match(lines[2] ?? '', /^bartholomew {2}\d{4}-\d\d-\d\d \d\d:\d\d UTC {2}by link only {2}owner {2}all$/);
  assert.equal((await run('admin remove ada')).code, 0);
  const again = await run('admin remove ada');
  assert.deepEqual([again.code, again.err], [1, 'fieldmouse: there is no administrator ada']);
  const last = await run('admin remove bartholomew');
  assert.deepEqual([last.code, last.out], [1, '']);
  assert.match(last.err, /bartholomew is the last owner/);
});

test('administrators and tokens get roles and sites, and omitted options keep their value', async (t) => {
  const { run, store } = commandLine(t);
  await run('site add shop --name Shop --origin self');
  const records = await store();
  const rights = async () => {
    const { role, sites } = (await records.admin('bob')) ?? {};
    return { role, sites };
  };
  await run('admin add ada');
  assert.match((await run('admin add bob --role viewer --site shop --site demo')).out, /admin\/link\//);
  assert.deepEqual(await rights(), { role: 'viewer', sites: ['shop', 'demo'] });
  assert.match((await run('admin list')).out, /^bob .* viewer {2}shop demo$/m);
  for (const [flags, expected, said] of [
    ['--site shop', { role: 'viewer', sites: ['shop'] }, 'a viewer of shop'],
    ['--role viewer', { role: 'viewer', sites: ['shop'] }, 'a viewer of shop'],
    ['--site *', { role: 'viewer', sites: null }, 'a viewer of all sites'],
    ['--role owner', OWNER, 'an owner'],
    ['--role viewer', { role: 'viewer', sites: null }, 'a viewer of all sites'],
  ] as const) {
    const { code, out } = await run(`admin set bob ${flags}`);
    assert.deepEqual([code, out], [0, `Administrator bob is now ${said}; streams of other sites end.`]);
    assert.deepEqual(await rights(), expected);
  }
  const refused: [line: string, code: number, fault: RegExp][] = [
    ['admin set bob', 2, /needs --role, --site/],
    ['admin set none --role viewer', 1, /no administrator none/],
    ['admin set ada --role viewer', 1, /ada is the last owner/],
    ['admin set ada --site shop', 1, /--site: owners see all sites/],
    ['admin set bob --site none', 1, /no site none/],
    ['admin add bob --role owner', 1, /administrator bob already exists; .* fieldmouse admin set/],
    ['admin add max --site shop', 2, /--site: owners see all sites/],
    ['admin add max --role king', 2, /"king" is not a role; it must be owner or viewer/],
    ['admin add max --role viewer --role owner', 2, /--role: give it only once/],
    ['admin add max --role viewer --site * --site shop', 2, /\* means all sites/],
    ['admin add max --role viewer --site none', 1, /no site none/],
    ['token add max --role viewer --site Shop!', 2, /"Shop!" is not a site key/],
    ['token add max --role viewer --site none', 1, /no site none/],
  ];
  for (const [line, code, fault] of refused) {
    const ran = await run(line);
    assert.equal(ran.code, code, line);
    assert.match(ran.err, fault);
  }
  assert.equal(await records.admin('max'), undefined);
  assert.deepEqual(await records.tokens(), []);
  assert.match(
    (await run('token add ci --role viewer --site shop')).out,
    /^Created token \w+ \(ci\) for a viewer of shop\./,
  );
  assert.match((await run('token list')).out, / viewer {2}shop$/m);
});

test('audit shows the changes made by commands, newest first, as a table or as NDJSON', async (t) => {
  const { run, store } = commandLine(t);
  assert.equal((await run('audit')).out, 'The audit trail is empty.');
  await run('admin add ada');
  assert.doesNotMatch((await run('admin set ada --site demo')).out, /now/);
  await run('admin add bob --role viewer --site demo');
  await run('admin set bob --role owner');
  await run('admin reset bob');
  await run('admin remove bob');
  const id = /^Created token (\w+)/.exec((await run('token add ci')).out)?.[1];
  await run(`token revoke ${id}`);
  await run('site add shop --name Shop --origin self');
  await (await store()).hit('shop', '/');
  await run('hits remove shop --yes');
  await run('hits remove shop --yes');
  await run('site remove shop --yes');
  await run('export');
  const lines = (await run('audit --format ndjson')).out.split('\n').map((line) => JSON.parse(line) as AuditEntry);
  assert.ok(lines.every(({ who, count }) => who === 'command line' && count === 1));
  assert.deepEqual(lines.map(({ what, on }) => `${what} ${on}`).reverse(), [
    'admin-added ada, an owner',
    'link-made ada',
    'admin-added bob, a viewer of demo',
    'link-made bob',
    'admin-changed bob, an owner',
    'password-reset bob',
    'link-made bob',
    'admin-removed bob',
    'token-made ci, an owner',
    'token-revoked ci',
    'site-added shop',
    'hits-removed shop',
    'site-removed shop',
    'exported all sites',
  ]);
  const [head, first] = (await run('audit')).out.split('\n');
  assert.match(head ?? '', /^WHEN +WHO +WHAT +ON$/);
  assert.match(first ?? '', /UTC {2}command line {2}exported +all sites$/);
  assert.match((await run('audit --format csv')).err, /"csv" is not table or ndjson/);
});

test('token add prints a secret that works until it is revoked', async (t) => {
  const { run, store } = commandLine(t);
  const { out } = await run('token add', 'Night job');
  const [, secret, id] = /^ {2}(fm_([0-9a-f]{12})_[\w-]{43})$/m.exec(out) ?? [];
  assert.equal((await (await store()).token(secret as string, Date.now()))?.name, 'Night job');
  const { out: list } = await run('token list');
  assert.match(list, new RegExp(`^${id} {2}Night job`, 'm'));
  assert.ok(!list.includes(secret as string));
  assert.equal((await run(`token revoke ${id}`)).code, 0);
  assert.equal((await run(`token revoke ${id}`)).code, 1);
  assert.match((await run('token list')).out, /^No tokens yet/);
});

test('site add prints the snippet, and list and remove find the site', async (t) => {
  const { run } = commandLine(t);
  const add = () =>
    run('site add shop --origin https://Shop.example/ --origin self --script-path /m.js --name', 'My shop');
  const { code, out } = await add();
  assert.equal(code, 0);
  assert.match(out, /^ {2}<script defer src="https:\/\/YOUR-HOST\/m\.js" data-site="shop"><\/script>$/m);
  assert.match(out, /^The server's address is not known here/m);
  assert.deepEqual([(await add()).code, (await add()).err], [1, 'fieldmouse: site shop already exists']);
  assert.match((await run('site list')).out, /^shop +My shop +nobody yet +https:\/\/shop\.example self$/m);
  assert.equal((await run('site remove shop --yes')).code, 0);
  assert.equal((await run('site remove shop --yes')).code, 1);
});

test('an invalid command line reports every error and where to find help, and changes nothing', async (t) => {
  const { run, store } = commandLine(t);
  const cases: [line: string, ...faults: RegExp[]][] = [
    ['frob', /frob: no such command\nfieldmouse --help lists all commands/],
    ['exprot', /exprot: no such command; did you mean export\?\n/],
    ['site lits', /site lits: needs one of add, list, remove; did you mean list\?\nSee fieldmouse site --help\.$/],
    ['constructor', /constructor: no such command/],
    ['admin', /admin: needs one of add, set, reset, list, remove/],
    ['admin frob', /admin frob: needs one of add, set, reset, list, remove/],
    ['admin add', /admin add: needs NAME, for example: fieldmouse admin add ada\nSee fieldmouse admin add --help\.$/],
    ['admin add a/b', /"a\/b" is not a valid name/],
    ['admin add ada bob', /admin add: unexpected argument "bob"/],
    ['admin list --name x', /--name: not an option of admin list/],
    ['token revoke', /token revoke: needs ID/],
    ['site add', /needs KEY/, /--name: needs one name/, /--origin: needs at least one/],
    [
      'site add Shop! --name a --name b --origin x',
      /"Shop!" is not a site key/,
      /--name: needs one name/,
      /"x" is not an origin/,
    ],
  ];
  for (const [line, ...faults] of cases) {
    const { code, out, err } = await run(line);
    assert.equal(code, 2, line);
    assert.equal(out, '');
    for (const fault of faults) assert.match(err, fault);
    assert.equal(err.split('\n').length, Math.max(faults.length, 1) + 1, err);
  }
  const records = await store();
  assert.deepEqual(await records.admins(), []);
  assert.equal((await records.sites()).length, 1);
});

test('commands beside a running server take effect at once: a link signs in, a removed administrator is signed out', async () => {
  const { code, out } = await spawned('admin', 'add', 'ada', '--data', server.data);
  assert.equal(code, 0);
  const token = /admin\/link\/(\S+)/.exec(out)?.[1];
  const signed = await fetch(`${server.url}/v1/session/link`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  });
  assert.equal(signed.status, 201);
  const cookie = signed.headers.getSetCookie()[0]?.split(';')[0] as string;
  const stream = await fetch(`${server.url}/v1/stream?site=demo`, { headers: { cookie } });
  assert.equal(stream.status, 200);
  assert.equal((await spawned('admin', 'remove', 'ada', '--data', server.data)).code, 0);
  assert.equal((await fetch(`${server.url}/v1/session`, { headers: { cookie } })).status, 401);
  // Ends, because who opened it is gone.
  await stream.text().catch(() => {});
});

test('a data folder that cannot be used is reported in one line with exit code 1', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  mkdirSync(join(folder, 'other'));
  writeFileSync(join(folder, 'other', 'store.mdb'), 'not a store');
  for (const name of ['file', 'other'])
    for (const words of [
      ['admin', 'list'],
      ['start', '--listen', 'tcp://127.0.0.1:0'],
    ]) {
      const { code, err, out } = await spawned(...words, '--data', join(folder, name));
      assert.equal(code, 1, `${words[0]} ${name}`);
      assert.match(err, /^fieldmouse: [^\n]+\n$/);
      assert.equal(out, '');
    }
});

/** What `--help` prints for these words. */
function helpFor(...words: string[]): string {
  const { io, ran } = outputHere();
  assert.equal(showHelp(words, io), 0);
  return ran(0).out;
}

/** Words as a shell would make them of a line, up to where it is sent elsewhere. */
function shellWords(line: string): string[] {
  const [command = ''] = line.split(/ [<>] /);
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '');
}

test('the help of a command shows its own usage, options and examples, in 80 columns', () => {
  const all = helpFor();
  for (const [name, { does, flags = {}, examples }] of MANUALS) {
    assert.ok(all.includes(`\n  ${name.padEnd(18)}  ${does}\n`), name);
    const text = helpFor(...name.split(' '));
    assert.ok(text.startsWith(`Usage\n  fieldmouse ${name}`));
    for (const flag of Object.keys(flags)) assert.match(text, new RegExp(`^ {2}--${flag}( [A-Z]+)?\\n {8}\\S`, 'm'));
    // It asks the page and its server only.
    if (name !== 'doctor') assert.match(text, /^ {2}--data FOLDER$/m);
    assert.ok(examples.length > 0 && text.includes(`\nExamples\n  fieldmouse ${examples[0]}`));
  }
  for (const word of ['admin', 'token', 'site', 'hits', 'migrate']) {
    const members = [...MANUALS.keys()].filter((name) => name.startsWith(`${word} `));
    assert.deepEqual(helpFor(word).match(new RegExp(`(?<=^ {2}fieldmouse )${word} \\S+(?=.*\\n {8})`, 'gm')), members);
  }
  const texts = [all, ...[...MANUALS.keys(), 'admin', 'migrate'].map((name) => helpFor(...name.split(' ')))];
  for (const line of texts.join('\n').split('\n')) assert.ok(line.length <= 80, line);
});

test('every example in the help is a valid command line', () => {
  for (const [name, { examples }] of MANUALS)
    for (const line of examples) {
      const { words, extra, config } = readConfig(shellWords(line), {}, COMMAND_FLAGS);
      const command = COMMANDS.get(name);
      if (!command) continue;
      const rest = words.slice(name.split(' ').length);
      assert.equal(words.join(' '), [name, ...rest].join(' '));
      assert.equal(rest.length, command.takes ? 1 : 0, line);
      const flags = extra as Record<Flag, string[]>;
      for (const [flag, values] of Object.entries(flags))
        assert.ok(values.length === 0 || flag in (command.flags ?? {}));
      const { io } = outputHere();
      assert.deepEqual(command.check?.({ word: rest[0] ?? '', flags, config, io }) ?? [], [], line);
    }
});

test('a command on a folder without a store reports it and creates nothing', async (t) => {
  const folder = temporaryFolder(t);
  const samples: Record<string, string> = { NAME: 'x', KEY: 'x', ID: 'x', VISIT: 'x', FILE: join(folder, 'none.mdb') };
  for (const [name, { takes = '' }] of COMMANDS) {
    if (/^(restore|migrate|reload|doctor)/.test(name)) continue;
    const word = takes === '' ? [] : [samples[takes] ?? 'x'];
    const flags = name === 'site add' ? ['--name', 'X', '--origin', 'self'] : [];
    if (name === 'admin set') flags.push('--role', 'owner');
    for (const data of [folder, join(folder, 'deeper')]) {
      const { code, out, err } = await runHere([...name.split(' '), ...word, ...flags, '--data', data]);
      assert.deepEqual([code, out], [1, ''], name);
      assert.match(err, /^fieldmouse: there is no store in \S+; [^\n]+--data$/, name);
      assert.deepEqual(readdirSync(folder), [], name);
    }
  }
});

test('a command that deletes asks first, and needs --yes without a terminal', async (t) => {
  const { run, store, data } = commandLine(t);
  for (const line of ['site remove demo', 'erase x']) {
    const { code, err } = await run(line);
    assert.deepEqual(
      [code, /permanently delete .*; there is no terminal to ask on: confirm with --yes/.test(err)],
      [2, true],
      line,
    );
  }
  const answer = async (text: string) => {
    const { io, ran } = outputHere();
    const input = Object.assign(Readable.from([text]), { isTTY: true });
    const screen = new PassThrough();
    const { words, config, extra } = readConfig(['site', 'remove', 'demo', '--data', data], {}, COMMAND_FLAGS);
    const { code } = ran(await runCommand(words, config, extra, { ...io, input, screen }));
    assert.equal(String(screen.read()), 'Permanently delete site demo and its whole record? [y/N] ');
    return code;
  };
  for (const text of ['n\n', '\n', '', 'yesterday\n']) assert.equal(await answer(text), 1, text);
  const records = await store();
  assert.ok(await records.site('demo'));
  assert.equal(await answer('y\n'), 0);
  assert.equal(await records.site('demo'), undefined);
});

test('the question before deleting appears on the terminal, also when an output goes to a file', async (t) => {
  const { data } = commandLine(t);
  await makeStore(data);
  const err = join(temporaryFolder(t), 'err');
  for (const redirect of [`2>"${err}"`, `>"${err}" 2>&1`]) {
    const line = `"${process.execPath}" ${MAIN.join(' ')} site remove demo --data "${data}" ${redirect}`;
    const shown = await onTerminal(t, line, /Permanently delete site demo .*\? \[y\/N\] /, 'n\n');
    assert.match(shown, /\[y\/N\] /, redirect);
    assert.equal(readFileSync(err, 'utf8'), 'fieldmouse: nothing was deleted\n');
  }
});

/** What a terminal shows of a command line that runs there; once it shows the question, the answer is typed. */
async function onTerminal(t: TestContext, line: string, question: RegExp, answer: string): Promise<string> {
  const env = { ...process.env, TERM: 'dumb', SHELL: '/bin/sh' };
  const terminal = spawn('script', ['-qec', line, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => terminal.kill());
  let shown = '';
  let isAsked = false;
  for await (const part of terminal.stdout.setEncoding('utf8')) {
    shown += part;
    if (!isAsked && question.test(shown)) {
      isAsked = true;
      terminal.stdin.write(answer);
    }
  }
  return shown;
}

test('names of administrators may use any script, with single spaces', async (t) => {
  const { run, data } = commandLine(t);
  await run('admin list');
  const names = ['Ada Lovelace', 'José Ñandú', '李 小龍', 'अनीता देवी', 'محمد علی', "Seán O'Brien", 'นิดา'];
  for (const name of names) assert.equal((await runHere(['admin', 'add', name, '--data', data])).code, 0, name);
  const { out } = await run('admin list');
  for (const name of names) assert.ok(out.includes(name), name);
  for (const name of [' a', 'a ', 'a  b', 'a\tb', '.a', 'a/b', 'x'.repeat(65), 'a\u202eb'])
    assert.equal((await runHere(['admin', 'add', name, '--data', data])).code, 2, JSON.stringify(name));
});

test('an export of an unknown site is an error', async (t) => {
  const { run } = commandLine(t);
  const { code, out, err } = await run('export --site nope');
  assert.deepEqual([code, out, err], [1, '', 'fieldmouse: there is no site nope; see fieldmouse site list']);
});
