/** A real nginx with deploy/nginx.conf, on free ports and in its own folder. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { LIMIT_MS } from './limit.ts';
import { findProgram } from './programs.ts';

const SITE = new URL('../../deploy/nginx.conf', import.meta.url);
/** Path of nginx. */
export const NGINX = findProgram(['nginx']) ?? 'nginx';

export interface Proxy {
  /** In the form `https://127.0.0.1:PORT`; its certificate is self-signed. */
  url: string;
  ws: string;
  /** Address without TLS. */
  plain: string;
}

/** Starts nginx in front of one or several servers; it is stopped after the test. */
export async function startNginx(t: TestContext, ...urls: string[]): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'));
  const [tls, plain] = [await freePort(), await freePort()];
  const file = configure(folder, urls, tls, plain);
  const args = ['-p', folder, '-c', file, '-e', 'stderr'];
  execFileSync(NGINX, ['-t', '-q', ...args], { stdio: 'pipe' });
  const child = spawn(NGINX, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGTERM');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  });
  await accepts(tls);
  return { url: `https://127.0.0.1:${tls}`, ws: `wss://127.0.0.1:${tls}`, plain: `http://127.0.0.1:${plain}` };
}

/** Writes the site with other addresses and paths, inside the surroundings of Debian's nginx.conf. Returns the path. */
function configure(folder: string, urls: readonly string[], tls: number, plain: number): string {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const openssl = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost';
  execFileSync('openssl', [...openssl.split(' '), '-keyout', key, '-out', certificate], { stdio: 'pipe' });
  const site = change(readFileSync(SITE, 'utf8'), [
    ['server 127.0.0.1:2112;', urls.map((url) => `server ${new URL(url).host};`).join(' ')],
    ['listen 80;', `listen 127.0.0.1:${plain};`],
    ['listen [::]:80;', ''],
    ['listen 443 ssl http2;', `listen 127.0.0.1:${tls} ssl http2;`],
    ['listen [::]:443 ssl http2;', ''],
    ['/etc/letsencrypt/live/stats.example.com/fullchain.pem', certificate],
    ['/etc/letsencrypt/live/stats.example.com/privkey.pem', key],
  ]);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const around = [
    'daemon off;',
    'worker_processes 1;',
    `pid ${join(folder, 'nginx.pid')};`,
    'error_log stderr crit;',
    'events { worker_connections 512; }',
    'http {',
    'access_log off;',
    'gzip on;',
    ...temporary.map((what) => `${what}_temp_path ${join(folder, what)};`),
    site,
    '}',
  ];
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, around.join('\n'));
  return file;
}

function change(text: string, changes: [from: string, to: string][]): string {
  return changes.reduce((changed, [from, to]) => {
    assert.equal(changed.split(from).length, 2, `${from} once in deploy/nginx.conf`);
    return changed.replace(from, to);
  }, text);
}

/** Polls, since nginx does not report that it listens. */
async function accepts(port: number): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      socket.destroy();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(20);
    }
  }
}
