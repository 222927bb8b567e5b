/** What browsers load: the dashboard, the demo site and the visitor script. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyRequest } from 'fastify';
import { publicFolder as builtFolder } from '../files.ts';
import { type Asset, makeAsset } from './asset.ts';
import type { HttpOptions, Identity } from './contract.ts';
import { sendAsset } from './fixed.ts';
import type { App } from './schema.ts';
import { DASHBOARD, DATA, DEMO, type Fields, SCRIPT } from './security.ts';

/** Names stay the same from version to version, so a browser has to ask each time. */
const ASK = 'no-cache';
/** Visitors load the script with every page; an hour is how long an update may take. */
const SCRIPT_CACHE = 'public, max-age=3600';
const DASHBOARD_PATHS = [
  '/admin',
  '/admin/visits',
  '/admin/visits/:id',
  '/admin/pages',
  '/admin/heatmap',
  '/admin/settings',
  '/admin/audit',
];
/** What the built script and the demo pages name, and what the server puts there instead. */
const ENDPOINT_MARK = '__FIELDMOUSE_ENDPOINT__';
const SCRIPT_MARK = '/fieldmouse.js';

/** Adds the routes and resolves with the files that are the same for everybody. Throws when the files are not there. */
export async function pageRoutes(
  app: App,
  { config, publicFolder = fileURLToPath(builtFolder) }: HttpOptions,
  recognise: (request: FastifyRequest) => Promise<Identity | undefined>,
): Promise<ReadonlyMap<string, Asset>> {
  if (!existsSync(join(publicFolder, 'fieldmouse.js')))
    throw new Error(`what browsers load is missing in ${publicFolder}; npm run build makes it`);
  const dashboard = pageOf(join(publicFolder, 'admin', 'index.html'), DASHBOARD);
  const files: [url: string, Asset][] = [
    [config.scriptPath, scriptOf(join(publicFolder, 'fieldmouse.js'), config.endpoint)],
    ['/admin/sign-in', dashboard],
    ...demoPages(join(publicFolder, 'demo'), config.scriptPath),
    ...plainFiles(join(publicFolder, 'admin'), '/admin/', DATA),
    // The stage's frame has no origin of its own, and would be refused the pictures under another policy.
    ...plainFiles(join(publicFolder, 'demo'), '/', SCRIPT),
  ];
  // For whoever spells a path otherwise, as with a slash at its end; and so that a path has one meaning only.
  for (const [url, asset] of files)
    app.get(url, { config: { security: [] }, schema: { hide: true } }, (request, reply) =>
      sendAsset(request, reply, asset),
    );
  dashboardRoutes(app, dashboard, recognise);
  return new Map(files);
}

function scriptOf(file: string, endpoint: string): Asset {
  return makeAsset(readFileSync(file, 'utf8').replaceAll(ENDPOINT_MARK, endpoint), {
    type: 'text/javascript; charset=utf-8',
    cacheControl: SCRIPT_CACHE,
    // `*`: pages with `crossorigin` on the tag, or an integrity hash, load it by CORS.
    fields: [...SCRIPT, ['access-control-allow-origin', '*']],
  });
}

/** One page for all of the dashboard's addresses; its script looks at the address. */
function dashboardRoutes(
  app: App,
  page: Asset,
  recognise: (request: FastifyRequest) => Promise<Identity | undefined>,
): void {
  const route = { config: { security: DASHBOARD }, schema: { hide: true } };
  app.get('/admin/link/:token', route, (request, reply) => sendAsset(request, reply, page));
  for (const url of DASHBOARD_PATHS)
    app.get(url, route, async (request, reply) => {
      if (await recognise(request)) return sendAsset(request, reply, page);
      return reply.header('cache-control', 'no-store').redirect('/admin/sign-in', 302);
    });
}

/** An index.html is also its folder's page. */
function demoPages(folder: string, scriptPath: string): [url: string, Asset][] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));
  return names.flatMap((name) => {
    const page = pageOf(join(folder, name), DEMO, (text) => text.replaceAll(`"${SCRIPT_MARK}"`, `"${scriptPath}"`));
    const path = `/${name.replaceAll('\\', '/')}`;
    const urls = path.endsWith('/index.html') ? [path, path.slice(0, -'index.html'.length)] : [path];
    return urls.map((url): [string, Asset] => [url, page]);
  });
}

const TYPES: Record<string, string> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/**
 * What the pages of a folder load, by its path. All is read at the start: no path can lead elsewhere, and a client that
 * asks for much and reads nothing holds no file open.
 */
function plainFiles(folder: string, prefix: string, fields: Fields): [url: string, Asset][] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => extname(name) in TYPES);
  return names.map((name) => [prefix + name.replaceAll('\\', '/'), fileOf(join(folder, name), fields)]);
}

/** `x.js.br` and `x.js.gz` are what the build made of `x.js`. */
function fileOf(file: string, fields: Fields): Asset {
  const packed = (ending: string) =>
    statSync(file + ending, { throwIfNoEntry: false }) ? readFileSync(file + ending) : undefined;
  const options = { type: TYPES[extname(file)] as string, cacheControl: ASK, fields };
  return makeAsset(readFileSync(file), { ...options, br: packed('.br'), gzip: packed('.gz') });
}

function pageOf(file: string, fields: Fields, change: (text: string) => string = (text) => text): Asset {
  const text = change(readFileSync(file, 'utf8'));
  return makeAsset(text, { type: 'text/html; charset=utf-8', cacheControl: ASK, fields });
}
