/** The server under a path of another site, behind a real nginx that keeps or removes the path. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, readConfig } from '../src/config/config.ts';
import { based, baseOf, unbased } from '../src/dashboard/shell/base.ts';
import { baseRemover, mounted } from '../src/http/base-path.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { launch, openPage } from './support/browser.ts';
import { run } from './support/command.ts';
import { freePort } from './support/free-port.ts';
import { startHttp } from './support/http.ts';
import { NGINX } from './support/nginx.ts';
import { startServer, temporaryFolder } from './support/server.ts';

/**
 * Starts nginx with the server at /stats/ beside another site. Resolves with its origin. `passes` is the target of
 * proxy_pass.
 */
async function startProxy(t: TestContext, passes: string): Promise<string> {
  const folder = temporaryFolder(t);
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
    events { worker_connections 256; }
    http {
      access_log off;
      ${temporary.map((what) => `${what}_temp_path ${folder}/${what};`).join('\n')}
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      server {
        listen 127.0.0.1:${port};
        location / { default_type text/html; return 200 "<!doctype html><title>Shop</title>
          <h1>Shop</h1><script defer src=/stats/fieldmouse.js data-site=demo></script>"; }
        location /stats/ {
          proxy_pass ${passes};
          proxy_http_version 1.1;
          proxy_set_header Upgrade $http_upgrade;
          proxy_set_header Connection $connection_upgrade;
          proxy_set_header Host $http_host;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
          proxy_buffering off;
        }
      }
    }`,
  );
  const child = spawn(NGINX, ['-p', folder, '-c', file, '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  for (let i = 0; ; i++) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return `http://127.0.0.1:${port}`;
    assert.ok(i < 500, 'nginx listens');
    await sleep(20);
  }
}

for (const [name, path] of [
  ['keeps the path', ''],
  ['removes the path', '/'],
] as const)
  test(`behind a proxy that ${name}, administrators sign in, see visitors live, and look back`, async (t) => {
    const server = await startServer(t, {
      workers: 1,
      flags: ['--base-path', '/stats/', '--trust-proxy', '127.0.0.1'],
    });
    const proxy = await startProxy(t, server.url + path);
    const browser = await launch(t);
    const dashboard = await openPage(browser);
    const strays: string[] = [];
    dashboard.on('pageerror', (error) => strays.push(String(error)));
    dashboard.on('request', (request) => {
      const { origin, pathname } = new URL(request.url());
      // The page of the shop is shown on the stage.
      if (origin === proxy && pathname !== '/' && !pathname.startsWith('/stats/')) strays.push(pathname);
    });
    const link = new URL(server.link as string);
    assert.match(link.pathname, /^\/stats\/admin\/link\//);
    await dashboard.goto(proxy + link.pathname);
    await dashboard.getByRole('button', { name: 'Sign in' }).click();
    await dashboard.waitForURL(`${proxy}/stats/admin`);
    await dashboard.locator('[data-link=live]').waitFor();

    const visitor = await openPage(browser);
    await visitor.goto(`${proxy}/`);
    await visitor.mouse.move(200, 100);
    await dashboard.locator('[data-here="1"]').waitFor();
    const other = await openPage(browser);
    await other.goto(`${proxy}/stats/garden.html`);
    await other.getByRole('link', { name: 'Journal' }).first().click();
    await other.waitForURL(`${proxy}/stats/journal.html`);
    await dashboard.locator('[data-here="2"]').waitFor();

    await dashboard.getByRole('link', { name: 'Visits' }).first().click();
    await dashboard.waitForURL(`${proxy}/stats/admin/visits**`);
    await dashboard.locator('a.visit-link').first().click();
    await dashboard.waitForURL(`${proxy}/stats/admin/visits/**`);
    await dashboard.reload();
    await dashboard.getByRole('link', { name: 'Heatmap' }).first().click();
    await dashboard.waitForURL(`${proxy}/stats/admin/heatmap**`);
    for (const href of await dashboard.locator('a[href]').evaluateAll((all) => all.map((a) => a.getAttribute('href'))))
      if (href?.startsWith('/')) assert.match(href, /^\/stats\/admin/);
    await dashboard.getByRole('link', { name: 'Settings' }).first().click();
    await dashboard.getByText(`${proxy}/stats/fieldmouse.js`).first().waitFor();
    assert.deepEqual(strays, []);

    const picture = await fetch(`${proxy}/stats/v1/hits/a.svg?site=demo`, {
      headers: { 'user-agent': 'github-camo (1)' },
    });
    assert.equal(picture.headers.get('content-type'), 'image/svg+xml; charset=utf-8');
    assert.match(await picture.text(), />1<\/text>/);
    const missing = await fetch(`${proxy}/stats/nothing`, { headers: { accept: 'text/html' } });
    assert.match(await missing.text(), /href="\/stats\/admin"/);
    // Health checks ask the server itself.
    assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  });

test('addresses with and without the base path work alike, and no other prefix is accepted', async (t) => {
  const { ask } = await startHttp(t, { flags: ['--base-path', '/a/stats'] });
  for (const path of [
    '/',
    '/healthz',
    '/admin',
    '/admin/visits/x',
    '/v1/hits/p?site=demo',
    '/fieldmouse.js',
    '/garden.html',
  ]) {
    const [plain, based] = [await ask('GET', path), await ask('GET', `/a/stats${path}`)];
    assert.deepEqual([based.status, await based.text()], [200, await plain.text()], path);
    assert.equal(plain.status, 200, path);
  }
  assert.equal((await ask('GET', '/a/stats')).status, 200);
  assert.equal((await ask('GET', '/a/statsadmin')).status, 404);
  assert.equal((await ask('GET', '/a/admin')).status, 404);
  assert.equal(await (await ask('GET', '/a/stats/fieldmouse.js')).text(), 'var endpoint="/a/stats/v1/visit";');
  assert.match(await (await ask('GET', '/a/stats/garden.html')).text(), /src="\/a\/stats\/fieldmouse\.js"/);
  const server = await (await ask('GET', '/v1/openapi.json')).json();
  assert.deepEqual((server as { servers: unknown }).servers, [{ url: '/a/stats' }]);
});

test('a base path is accepted with and without its slashes', () => {
  const read = (path: string) => readConfig(['--base-path', path], {}).config.basePath;
  assert.deepEqual(['/stats', 'stats', '/stats/', '/a/b', '/', ''].map(read), [
    '/stats',
    '/stats',
    '/stats',
    '/a/b',
    '',
    '',
  ]);
  for (const bad of ['/admin', '/v1', '/v1/x', '/a b', '/../x', '/a?b', 'https://x.example/'])
    assert.throws(() => read(bad), ConfigError, bad);
});

test('the base path is added to an address once, and removed once', () => {
  assert.equal(baseOf('https://shop.example/stats/admin/app.js'), '/stats');
  assert.equal(baseOf('https://shop.example:8443/a/b/admin/chunk-XY.js'), '/a/b');
  assert.equal(baseOf('https://shop.example/admin/app.js'), '');
  assert.equal(baseOf('file:///home/admin/src/base.ts'), '');
  for (const address of ['/admin', '/admin?x=1', '/admin/visits', '/v1/stream?site=a', '/healthz'])
    for (const base of ['', '/stats']) {
      assert.equal(based(address, base), base + address);
      assert.equal(based(based(address, base), base), base + address);
      assert.equal(unbased(base + address, base), address);
    }
  assert.equal(based('https://else.example/admin', '/stats'), 'https://else.example/admin');
  assert.equal(based('/administrators', '/stats'), '/administrators');
  assert.equal(
    mounted('<a href="/x"><img src="//cdn/x"><i href="#">', '/s'),
    '<a href="/s/x"><img src="//cdn/x"><i href="#">',
  );
  const request = { url: '/stats?x' } as Parameters<ReturnType<typeof baseRemover>>[0];
  baseRemover('/stats')(request);
  assert.equal(request.url, '/?x');
});

test('the base path is removed from an address that starts with an origin', () => {
  for (const [url, path] of [
    ['http://shop.example/stats/v1/sites?x=1', '/v1/sites?x=1'],
    ['HTTPS://shop.example:8443/stats', '/'],
    ['http://shop.example/stats?x', '/?x'],
    ['http://shop.example/statsx', 'http://shop.example/statsx'],
    ['http://shop.example/v1/sites', 'http://shop.example/v1/sites'],
    ['/stats/http://shop.example/', '/http://shop.example/'],
  ] as const) {
    const request = { url } as Parameters<ReturnType<typeof baseRemover>>[0];
    baseRemover('/stats')(request);
    assert.equal(request.url, path, url);
  }
});

test('requests with an absolute target are answered below the base path, and commands print addresses with it', async (t) => {
  const server = await startServer(t, { flags: ['--base-path', '/stats'], workers: 1 });
  const { host, hostname, port } = new URL(server.url);
  const answer = async (target: string) => {
    const socket = connect(Number(port), hostname);
    t.after(() => socket.destroy());
    socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    return text(socket);
  };
  for (const target of ['/stats/healthz', `http://${host}/stats/healthz`, `http://${host}/healthz`])
    assert.match(await answer(target), /^HTTP\/1\.1 200 .*"status":"ok"/s, target);
  const base = `http://127.0.0.1:${port}/stats`;
  const added = await run('admin', 'add', 'eve', '--data', server.data);
  assert.match(added.out, new RegExp(`^ {2}${base}/admin/link/`, 'm'));
  const site = await run('site', 'add', 'shop', '--name', 'Shop', '--origin', 'self', '--data', server.data);
  assert.match(site.out, new RegExp(`src="${base}/fieldmouse\\.js"`));
});

test('commands print the configured base path if no server has recorded its address', async (t) => {
  const data = temporaryFolder(t);
  await (await openLmdbStore(data)).close();
  const words = ['--data', data, '--base-path', '/stats'];
  const { out } = await run('admin', 'add', 'eve', ...words);
  assert.match(out, /^ {2}https:\/\/YOUR-HOST\/stats\/admin\/link\//m);
  const site = await run('site', 'add', 'shop', '--name', 'Shop', '--origin', 'self', '-l', '127.0.0.1:4901', ...words);
  assert.match(site.out, /src="http:\/\/127\.0\.0\.1:4901\/stats\/fieldmouse\.js"/);
});
