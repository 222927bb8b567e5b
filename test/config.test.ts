import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError, describeOptions, MAX_SOCKET_PATH, OPTIONS, readConfig } from '../src/config/config.ts';
import { suggest } from '../src/lib/suggest.ts';

/** The faults of a command line, one by one. */
function faultsOf(argv: string[], env: Record<string, string> = {}): readonly string[] {
  try {
    readConfig(argv, env);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, 'bad-config');
    return error.faults;
  }
  return [];
}

test('without flags and environment the defaults apply', () => {
  const { config, words } = readConfig([], {});
  assert.deepEqual(config.listen, [{ kind: 'tcp', host: '0.0.0.0', port: 2112 }]);
  assert.equal(config.workers, availableParallelism());
  assert.equal(config.data, resolve('data'));
  assert.equal(config.trustProxy, false);
  assert.equal(config.token, '');
  assert.equal(config.scriptPath, '/fieldmouse.js');
  assert.equal(config.endpoint, '/v1/visit');
  assert.equal(config.maxFrame, 16_384);
  assert.equal(config.maxBody, 1_048_576);
  assert.equal(config.development, false);
  assert.deepEqual(words, []);
  assert.ok(Object.isFrozen(config));
});

test('a flag wins over the environment, and the environment over the default', () => {
  const env = { FIELDMOUSE_WORKERS: '3', FIELDMOUSE_DATA: '/from/env', FIELDMOUSE_LOG_LEVEL: '' };
  const { config } = readConfig(['--workers', '5'], env);
  assert.equal(config.workers, 5);
  assert.equal(config.data, '/from/env');
  assert.equal(config.logLevel, 'info');
});

/** Values of options that are empty unless given, and not any text. */
const EXAMPLES: Record<string, string> = { redis: 'redis://host:1', siteShares: 'shop=3' };

test('every option can be set by its flag and by its environment variable', () => {
  for (const [key, option] of Object.entries(OPTIONS)) {
    const preset = typeof option.preset === 'function' ? option.preset() : option.preset;
    const value = preset || EXAMPLES[key] || 'a-token-of-20-letters';
    const byFlag = readConfig([`--${option.flag}=${value}`], {}).config;
    const byEnv = readConfig([], { [option.env[0] as string]: value }).config;
    assert.deepEqual(byFlag, byEnv, key);
  }
});

test('--site-share gives sites larger or smaller shares of the store', () => {
  const given = readConfig(['--site-share', 'shop=3', '--site-share', 'blog=0.5'], {}).config;
  assert.deepEqual(given.siteShares, { shop: 3, blog: 0.5 });
  assert.deepEqual(readConfig([], { FIELDMOUSE_SITE_SHARE: 'shop=3,blog=0.5' }).config.siteShares, given.siteShares);
  assert.deepEqual(readConfig([], {}).config.siteShares, {});
  for (const text of ['shop', 'shop=0', 'shop=-1', '=3', 'Shop=1'])
    assert.equal(faultsOf(['--site-share', text]).length, 1);
});

test('several listen addresses are accepted, as repeated flags or separated by commas', () => {
  const expected = [
    { kind: 'tcp', host: '::1', port: 0 },
    { kind: 'path', path: '/run/mouse.sock' },
    { kind: 'path', path: '\\\\.\\pipe\\mouse' },
  ];
  const texts = ['tcp://[::1]:0', 'unix:/run/mouse.sock', 'pipe:\\\\.\\pipe\\mouse'];
  assert.deepEqual(
    readConfig(['-l', texts[0] as string, '--listen', texts[1] as string, `-l${texts[2]}`], {}).config.listen,
    expected,
  );
  assert.deepEqual(readConfig([], { FIELDMOUSE_LISTEN: texts.join(',') }).config.listen, expected);
});

test('PORT is honoured unless an address is given', () => {
  const listenOf = (argv: string[], env: Record<string, string>) => readConfig(argv, env).config.listen[0];
  assert.deepEqual(listenOf([], { PORT: '8080' }), { kind: 'tcp', host: '0.0.0.0', port: 8080 });
  assert.deepEqual(listenOf(['-l', 'tcp://127.0.0.1:1'], { PORT: '8080' }), {
    kind: 'tcp',
    host: '127.0.0.1',
    port: 1,
  });
  assert.deepEqual(listenOf([], { PORT: '8080', FIELDMOUSE_LISTEN: 'tcp://h:2' }), { kind: 'tcp', host: 'h', port: 2 });
  assert.match(faultsOf([], { PORT: 'http' })[0] ?? '', /^PORT: "http" is not valid/);
  assert.match(faultsOf([], { PORT: '70000' })[0] ?? '', /^PORT: /);
});

test('--trust-proxy accepts no, yes or a list', () => {
  const trusted = (text: string) => readConfig(['--trust-proxy', text], {}).config.trustProxy;
  assert.equal(trusted('no'), false);
  assert.equal(trusted('yes'), true);
  assert.deepEqual(trusted('10.0.0.0/8, ::1,loopback'), ['10.0.0.0/8', '::1', 'loopback']);
});

test('all errors are reported at once, with the option, the value and what would be valid', () => {
  const faults = faultsOf(
    ['--listen', 'http://x', '--workers', '0', '--frob', '--endpoint', '/admin/x', '--trust-proxy', 'maybe', '--flush'],
    { FIELDMOUSE_MAX_FRAME: 'big', FIELDMOUSE_LOG_LEVEL: 'loud' },
  );
  const expected = [
    /^--listen: "http:\/\/x" is not valid; it must be a port \(0 to 65535\), host:port, tcp:\/\/host:port/,
    /^--workers: "0" is not valid; it must be a whole number from 1 to 512$/,
    /^--frob: no such option$/,
    /^--endpoint: "\/admin\/x" is not valid; it must be a path that the server does not use itself$/,
    /^--trust-proxy: "maybe" is not valid; it must be no, yes, or a comma-separated list/,
    /^--flush: needs a value \(MS\)$/,
    /^FIELDMOUSE_MAX_FRAME: "big" is not valid; it must be a whole number from 256 to 65536$/,
    /^FIELDMOUSE_LOG_LEVEL: "loud" is not valid; it must be one of /,
  ];
  assert.equal(faults.length, expected.length);
  for (const pattern of expected)
    assert.ok(
      faults.some((fault) => pattern.test(fault)),
      String(pattern),
    );
});

test('values that no server could use are errors', () => {
  const wrong: [flag: string, ...values: string[]][] = [
    [
      'listen',
      '',
      'tcp://:80',
      'tcp://h',
      'tcp://h:70000',
      'unix:',
      'localhost',
      '70000',
      'h:70000',
      'tcp://h:80/path',
      'tcp://[nonsense]:80',
    ],
    ['workers', '-1', '1.5', '1e1', ' 2', '513', ''],
    ['data', ''],
    ['trust-proxy', '10.0.0.0/99', '0.0.0.0/0', '::/129', '999.1.1.1', '', ',', '1.2.3.4,', ':'],
    [
      'redis',
      'localhost',
      'http://h',
      'redis://',
      'redis://h/x',
      'redis://h,localhost',
      'redis://h/1,redis://i',
      'redis+sentinel://h',
    ],
    ['redis-replicas', '-1', '11'],
    ['token', 'short', 'with spaces in it, long', 'x'.repeat(201)],
    [
      'script-path',
      '',
      '/',
      '/a b.js',
      '/../x',
      '/a/./b',
      '/v1/sites',
      '/v1/session/x',
      '/v1/server',
      '/healthz',
      '/admin',
    ],
    ['endpoint', '/v1/stream', '/v1/hits', '/v1/hits/a', '/v1/openapi.json', '/a?b', '//x'],
    ['max-frame', '0', '100000000'],
  ];
  for (const [flag, ...values] of wrong)
    for (const value of values) assert.equal(faultsOf([`--${flag}=${value}`]).length, 1, `--${flag}=${value}`);
});

test('the paths of script and endpoint must differ', () => {
  assert.match(faultsOf(['--script-path', '/x', '--endpoint', 'x'])[0] ?? '', /both \/x/);
});

test('error messages do not repeat secrets', () => {
  for (const name of ['FIELDMOUSE_TOKEN', 'FIELDMOUSE_REDIS']) {
    const [fault] = faultsOf([], { [name]: 'my secret' });
    assert.ok(fault?.startsWith(`${name}: the value given is not valid`), fault);
    assert.ok(!fault?.includes('my secret'));
  }
});

test('commands and their flags are distinguished from options', () => {
  const argv = ['site', 'add', 'shop', '--name', 'My shop', '--data', '/d', '--origin', 'a', '--origin=b'];
  const { words, extra, config } = readConfig(argv, {}, ['name', 'origin']);
  assert.deepEqual(words, ['site', 'add', 'shop']);
  assert.deepEqual(extra, { name: ['My shop'], origin: ['a', 'b'] });
  assert.equal(config.data, '/d');
  assert.equal(faultsOf(argv).length, 3);
});

test('any command line results in a config or a ConfigError, never in another error', () => {
  const flag = fc.constantFrom(...Object.values(OPTIONS).map((option) => `--${option.flag}`), '-l', '--', '-x');
  fc.assert(
    fc.property(fc.array(fc.oneof(flag, fc.string())), (argv) => {
      try {
        readConfig(argv, {});
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }),
  );
});

test('the help describes every option within 80 columns, and the short help only some', () => {
  const help = describeOptions();
  for (const option of Object.values(OPTIONS)) assert.ok(help.includes(`--${option.flag}`), option.flag);
  for (const line of help.split('\n')) assert.ok(line.length <= 80, line);
  const brief = describeOptions(['data', 'redis']);
  assert.deepEqual(brief.match(/--\S+/g), ['--data', '--redis']);
  assert.ok(brief.split('\n').length <= 6, brief);
});

test('an unknown option gets a suggestion if an option is similar, and none otherwise', () => {
  const meant = (flag: string) => faultsOf([flag], {})[0];
  assert.equal(meant('--wrokers'), '--wrokers: no such option; did you mean --workers?');
  assert.equal(meant('--dta'), '--dta: no such option; did you mean --data?');
  assert.equal(meant('--verbose'), '--verbose: no such option');
});

test('words that differ by one or two typing errors are similar, and no others', () => {
  const known = ['export', 'import', 'audit', 'hits'];
  const cases = [
    ['exprot', 'export'],
    ['expor', 'export'],
    ['inport', 'import'],
    ['adit', 'audit'],
    ['hist', 'hits'],
    ['hit', 'hits'],
    ['exit', undefined],
    ['it', undefined],
    ['x'.repeat(100_000), undefined],
  ] as const;
  for (const [word, meant] of cases) assert.equal(suggest(word, known), meant, word.slice(0, 20));
});

test('addresses are accepted in the forms that people type', () => {
  const listen = (...argv: string[]) => readConfig(argv, {}).config.listen;
  const all = { kind: 'tcp', host: '0.0.0.0', port: 4900 };
  const same = ['--port 4900', '--port=4900', '-p 4900', '-p4900', '-l 4900', '--listen 4900', '-l :4900', '-l *:4900'];
  for (const argv of same.map((line) => line.split(' '))) assert.deepEqual(listen(...argv), [all], argv.join(' '));
  assert.deepEqual(listen('-l', '127.0.0.1:4900', '--port', '80'), [
    { ...all, host: '127.0.0.1' },
    { ...all, port: 80 },
  ]);
  assert.deepEqual(listen('-l', '[::1]:4900', '-l', 'localhost:4900'), [
    { ...all, host: '::1' },
    { ...all, host: 'localhost' },
  ]);
  for (const wrong of ['', '70000', 'x', '-1', '4900x'])
    assert.throws(() => listen(`--port=${wrong}`), /must be a port from 0 to 65535/, wrong);
});

test('an option without its value is reported, not the option after it', () => {
  const cases: [string[], ...string[]][] = [
    [['--port', '--data', 'x'], '--port: needs a value (N)'],
    [['-p', '--data', 'x'], '-p: needs a value (N)'],
    [['--data', '--port', '80'], '--data: needs a value (FOLDER)'],
    [['--workers', '-l', '80'], '--workers: needs a value (N)'],
    [['-l', '--workers', '2'], '-l: needs a value (ADDRESS)'],
    [['--port'], '--port: needs a value (N)'],
    [['--port', '--'], '--port: needs a value (N)'],
    [
      ['--data', '--retain', '--flush'],
      ...['--data: needs a value (FOLDER)', '--retain: needs a value (TIME)'],
      '--flush: needs a value (MS)',
    ],
    [['--help=1'], '--help: takes no value'],
    [['--version=yes'], '--version: takes no value'],
    [['--workers', '-1'], '--workers: "-1" is not valid; it must be a whole number from 1 to 512'],
  ];
  for (const [argv, ...faults] of cases) assert.deepEqual(faultsOf(argv), faults, argv.join(' '));
  const { extra, config } = readConfig(['site', 'add', 'x', '--name', '-x', '--token=--sixteen-signs--'], {}, ['name']);
  assert.deepEqual([extra.name, config.token], [['-x'], '--sixteen-signs--']);
});

test('times and sizes are accepted as people write them, and an error names the units', () => {
  const DAY = 24 * 3_600_000;
  const retain = (text: string) => readConfig(['--retain', text], {}).config.retainMs;
  for (const text of ['30d', '30D', '30days', '30 days', '720h', '720 hours', '43200min', '43200m'])
    assert.equal(retain(text), 30 * DAY, text);
  for (const text of ['1w', '1W', '1week', '7d']) assert.equal(retain(text), 7 * DAY, text);
  assert.equal(readConfig(['--max-visit', '90 seconds'], {}).config.maxVisitMs, 90_000);
  const store = (text: string) => readConfig(['--max-store', text], {}).config.maxStore;
  for (const text of ['10GB', '10gb', '10G', '10g', '10 GB', '10000MB', '0.01TB', '10000000k'])
    assert.equal(store(text), 10e9, text);
  for (const text of ['10GiB', '10gib', '10Gi', '10240MiB']) assert.equal(store(text), 10 * 2 ** 30, text);
  for (const text of ['30', '1y', '1mo', '2 months', '-1d', '1.5d', '30dd', 'd', ''])
    assert.match(faultsOf([`--retain=${text}`])[0] ?? '', /a time from 1h to 3650d; units are s, m, h, d and w/, text);
  for (const text of ['10', '10B', '10GBB', 'GB', '-1GB', '1MB', '10bi'])
    assert.match(faultsOf([`--max-store=${text}`])[0] ?? '', /from 8MB to 100TB, .*MB, GB and TB, or KiB/, text);
});

test('a path too long for a Unix socket is rejected, and the error names the limit', {
  skip: process.platform === 'win32',
}, () => {
  const path = `/${'é'.repeat((MAX_SOCKET_PATH - 1) / 2)}`;
  assert.equal(Buffer.byteLength(path), MAX_SOCKET_PATH);
  assert.deepEqual(readConfig(['-l', `unix:${path}`], {}).config.listen, [{ kind: 'path', path }]);
  const [fault] = faultsOf(['-l', `unix:${path}x`]);
  assert.match(
    fault ?? '',
    new RegExp(`it must be a path of at most ${MAX_SOCKET_PATH} bytes \\(this one has ${MAX_SOCKET_PATH + 1}\\)`),
  );
  // A relative one counts from the root.
  assert.equal(faultsOf(['-l', `unix:${'x'.repeat(MAX_SOCKET_PATH - 2)}`]).length, 1);
});
