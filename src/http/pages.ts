/** What browsers load: the dashboard, the demo site and the visitor script. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import staticFiles from '@fastify/static';
import type { FastifyRequest } from 'fastify';
import { type Asset, makeAsset, sendAsset } from './asset.ts';
import type { HttpOptions, Identity } from './contract.ts';
import type { App } from './schema.ts';
import { DASHBOARD, DEMO, SCRIPT } from './security.ts';

/** Names stay the same from version to version, so a browser has to ask each time. */
const ASK = 'no-cache';
/** Visitors load the script with every page; an hour is how long an update may take. */
const SCRIPT_CACHE = 'public, max-age=3600';
/** What the built script and the demo pages name, and what the server puts there instead. */
const ENDPOINT_MARK = '__FIELDMOUSE_ENDPOINT__';
const SCRIPT_MARK = '/fieldmouse.js';

/** Adds the routes. Throws when the files are not there. */
export async function pageRoutes(
  app: App,
  { config, publicFolder = defaultFolder() }: HttpOptions,
  recognise: (request: FastifyRequest) => Promise<Identity | undefined>,
): Promise<void> {
  if (!existsSync(join(publicFolder, 'fieldmouse.js')))
    throw new Error(`what browsers load is missing in ${publicFolder}; npm run build makes it`);
  scriptRoute(app, join(publicFolder, 'fieldmouse.js'), config);
  await dashboardRoutes(app, join(publicFolder, 'admin'), recognise);
  await demoRoutes(app, join(publicFolder, 'demo'), config.scriptPath);
}

/** Compiled code lies in dist/ beside the folder; the sources one level further off. */
function defaultFolder(): string {
  const path = import.meta.url.endsWith('.ts') ? '../../dist/public' : '../public';
  return fileURLToPath(new URL(path, import.meta.url));
}

function scriptRoute(app: App, file: string, { scriptPath, endpoint }: HttpOptions['config']): void {
  const text = readFileSync(file, 'utf8').replaceAll(ENDPOINT_MARK, endpoint);
  const script = makeAsset(text, 'text/javascript; charset=utf-8', SCRIPT_CACHE);
  // `*`: pages with `crossorigin` on the tag, or an integrity hash, load it by CORS.
  app.get(scriptPath, { config: { security: SCRIPT }, schema: { hide: true } }, (request, reply) =>
    sendAsset(request, reply.header('access-control-allow-origin', '*'), script),
  );
}

/** One page for all of the dashboard's addresses; its script looks at the address. */
async function dashboardRoutes(
  app: App,
  folder: string,
  recognise: (request: FastifyRequest) => Promise<Identity | undefined>,
): Promise<void> {
  const page = pageOf(join(folder, 'index.html'));
  const route = { config: { security: DASHBOARD }, schema: { hide: true } };
  for (const url of ['/admin/sign-in', '/admin/link/:token'])
    app.get(url, route, (request, reply) => sendAsset(request, reply, page));
  for (const url of ['/admin', '/admin/settings'])
    app.get(url, route, async (request, reply) => {
      if (await recognise(request)) return sendAsset(request, reply, page);
      return reply.header('cache-control', 'no-store').redirect('/admin/sign-in', 302);
    });
  await app.register(staticFiles, { ...STATIC, root: folder, prefix: '/admin/' });
}

async function demoRoutes(app: App, folder: string, scriptPath: string): Promise<void> {
  const route = { config: { security: DEMO }, schema: { hide: true } };
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));
  for (const name of names) {
    const page = pageOf(join(folder, name), (text) => text.replaceAll(`"${SCRIPT_MARK}"`, `"${scriptPath}"`));
    const path = `/${name.replaceAll('\\', '/')}`;
    for (const url of path.endsWith('/index.html') ? [path, path.slice(0, -'index.html'.length)] : [path])
      app.get(url, route, (request, reply) => sendAsset(request, reply, page));
  }
  await app.register(staticFiles, {
    ...STATIC,
    root: folder,
    prefix: '/',
    // The stage's frame has no origin of its own, and would be refused the pictures.
    setHeaders: (reply) => reply.header('cross-origin-resource-policy', 'cross-origin').header('cache-control', ASK),
  });
}

/** Only files that were there at the start are served, so no path can lead elsewhere. `x.js.br` stands in for `x.js`. */
const STATIC = {
  wildcard: false,
  globIgnore: ['**/*.html', '**/*.br', '**/*.gz'],
  preCompressed: true,
  decorateReply: false,
  schemaHide: true,
  cacheControl: false,
  setHeaders: (reply: { header(name: string, value: string): unknown }) => void reply.header('cache-control', ASK),
};

function pageOf(file: string, change: (text: string) => string = (text) => text): Asset {
  return makeAsset(change(readFileSync(file, 'utf8')), 'text/html; charset=utf-8', ASK);
}
