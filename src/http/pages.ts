/** What browsers load: the dashboard, the demo site and the visitor script. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import staticFiles from '@fastify/static';
import type { FastifyRequest } from 'fastify';
import { type Asset, makeAsset, sendAsset } from './asset.ts';
import type { HttpOptions, Identity } from './contract.ts';
import type { App } from './schema.ts';

/** Names stay the same from version to version, so a browser has to ask each time. */
const ASK = 'no-cache';
/** Visitors load the script with every page; an hour is how long an update may take. */
const SCRIPT_CACHE = 'public, max-age=3600';
/** What the built script and the demo pages name, and what the server puts there instead. */
const ENDPOINT_MARK = '__FIELDMOUSE_ENDPOINT__';
const SCRIPT_MARK = '/fieldmouse.js';

/** `frame-src` is for the stage, which shows the visited page in a sandbox without scripts. */
const DASHBOARD_POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'font-src': ["'self'"],
  'connect-src': ["'self'"],
  'frame-src': ["'self'", 'http:', 'https:'],
  'form-action': ["'self'"],
  'base-uri': ["'none'"],
  'frame-ancestors': ["'none'"],
};

/** The stage shows demo pages in a frame. */
const DEMO_POLICY = {
  'default-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'base-uri': ["'none'"],
  'form-action': ["'self'"],
  'frame-ancestors': ["'self'"],
};

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
  const helmet = { crossOriginResourcePolicy: { policy: 'cross-origin' as const } };
  // `*`: pages with `crossorigin` on the tag, or an integrity hash, load it by CORS.
  app.get(scriptPath, { helmet, schema: { hide: true } }, (request, reply) =>
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
  const helmet = { contentSecurityPolicy: { useDefaults: false, directives: DASHBOARD_POLICY } };
  const route = { helmet, schema: { hide: true } };
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
  const helmet = {
    contentSecurityPolicy: { useDefaults: false, directives: DEMO_POLICY },
    frameguard: { action: 'sameorigin' as const },
    // Under no-referrer, the default, a beacon's Origin is `null` by the Fetch standard, and would be refused.
    referrerPolicy: { policy: 'strict-origin-when-cross-origin' as const },
  };
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));
  for (const name of names) {
    const page = pageOf(join(folder, name), (text) => text.replaceAll(`"${SCRIPT_MARK}"`, `"${scriptPath}"`));
    const path = `/${name.replaceAll('\\', '/')}`;
    for (const url of path.endsWith('/index.html') ? [path, path.slice(0, -'index.html'.length)] : [path])
      app.get(url, { helmet, schema: { hide: true } }, (request, reply) => sendAsset(request, reply, page));
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
