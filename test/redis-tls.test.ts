/** Redis over TLS, with a certificate from the test's own CA. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { run } from './support/command.ts';
import { freePort } from './support/free-port.ts';
import { type RedisServer, startRedis, startSentinel } from './support/redis.ts';
import { connect, refusal } from './support/redis-client.ts';
import { startServer, temporaryFolder } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';

/** Redis can be built without. */
const skip = !execFileSync('redis-cli', ['--help'], { encoding: 'utf8' }).includes('--tls');

interface TlsServer {
  plain: RedisServer;
  port: number;
  /** File of the certificate that all others are to be signed with. */
  ca: string;
  /** Options that a sentinel needs, too. */
  flags: [name: string, value: string][];
}

async function startTls(t: TestContext, address = '127.0.0.1'): Promise<TlsServer> {
  const [files, port] = [sign(t, address), await freePort()];
  const flags: [string, string][] = [
    ['tls-cert-file', files.certificate],
    ['tls-key-file', files.key],
    ['tls-ca-cert-file', files.ca],
    // By default each client has to have a certificate.
    ['tls-auth-clients', 'no'],
  ];
  const args = flags.flatMap(([name, value]) => [`--${name}`, value]);
  const plain = await startRedis(t, ['--tls-port', String(port), ...args]);
  return { plain, port, ca: files.ca, flags };
}

/** Makes a CA, and a certificate of it for an address. */
function sign(t: TestContext, address: string): Record<'ca' | 'key' | 'certificate', string> {
  const folder = temporaryFolder(t);
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', ...args], {
      stdio: 'pipe',
    });
  openssl('-x509', '-days', '1', '-subj', '/CN=ca', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  openssl('-subj', '/CN=redis', '-keyout', at('key.pem'), '-out', at('request.pem'));
  writeFileSync(at('names'), `subjectAltName=IP:${address}`);
  const by = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '1', '-extfile', at('names')];
  const args = ['x509', '-req', '-in', at('request.pem'), ...by, '-out', at('certificate.pem')];
  execFileSync('openssl', args, { stdio: 'pipe' });
  return { ca: at('ca.pem'), key: at('key.pem'), certificate: at('certificate.pem') };
}

/** Node reads the file when it starts: processes of the test that start from now on trust it. */
function trust(t: TestContext, ca: string): void {
  process.env.NODE_EXTRA_CA_CERTS = ca;
  t.after(() => {
    delete process.env.NODE_EXTRA_CA_CERTS;
  });
}

test('a server, its workers and commands use Redis over TLS, with a private CA from NODE_EXTRA_CA_CERTS', {
  skip,
}, async (t) => {
  const { port, ca, plain } = await startTls(t);
  trust(t, ca);
  const url = `rediss://127.0.0.1:${port}`;
  const tree = await startServer(t, { workers: 1, flags: ['--redis', url] });
  const visitor = new BinaryVisitor(t, tree.ws);
  await visitor.hello;
  const { code, out, err } = await run('site', 'list', '--redis', url);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /demo/);
  // Only the test's own way is a plain one.
  assert.equal(
    plain
      .cli('client', 'list')
      .split('\n')
      .filter((line) => line.includes(`laddr=127.0.0.1:${plain.port}`)).length,
    1,
  );
  assert.equal(await tree.stop(), 0);
});

test('sentinels and their master use TLS', { skip }, async (t) => {
  const { port, ca, flags } = await startTls(t);
  trust(t, ca);
  const lines = flags.map((flag) => flag.join(' '));
  const tls = await freePort();
  await startSentinel(t, port, 1, [...lines, `tls-port ${tls}`, 'tls-replication yes']);
  const url = `rediss+sentinel://127.0.0.1:${tls}/mymaster`;
  const tree = await startServer(t, { workers: 1, flags: ['--redis', url] });
  assert.equal(await tree.stop(), 0);
  const { code, out, err } = await run('site', 'list', '--redis', url);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /demo/);
});

test('a TLS error is reported in one line', { skip }, async (t) => {
  const { port, plain } = await startTls(t);
  const untrusted =
    /^Redis at \S.* has a certificate that is not accepted: .*; set NODE_EXTRA_CA_CERTS=FILE to trust your own CA$/;
  await assert.rejects(connect(t, `rediss://:secret@127.0.0.1:${port}`), refusal('refused', untrusted));
  const nodes = `rediss://127.0.0.1:${port},rediss://127.0.0.1:${port}`;
  await assert.rejects(connect(t, nodes), refusal('refused', untrusted));
  const soon = { connectMs: 500 };
  await assert.rejects(connect(t, `redis://127.0.0.1:${port}`, soon), refusal('unreachable', /does not answer: ./));
  await assert.rejects(
    connect(t, `rediss://127.0.0.1:${plain.port}`, soon),
    refusal('unreachable', /does not answer: ./),
  );
  const other = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end('-ERR\r\n'));
  }).listen(0, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  const at = `rediss://127.0.0.1:${(other.address() as AddressInfo).port}`;
  await assert.rejects(connect(t, at, soon), refusal('unreachable', /does not answer: wrong version number$/));
  const elsewhere = await startTls(t, '127.0.0.2');
  trust(t, elsewhere.ca);
  const { code, err } = await run('site', 'list', '--redis', `rediss://127.0.0.1:${elsewhere.port}`);
  assert.deepEqual([code, err.trim().split('\n').length], [1, 1], err);
  assert.match(err, /not accepted: Hostname\/IP does not match certificate's altnames/);
});
