/** The files for browsers: the dashboard, the demo site and the visitor script. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DASHBOARD_PAGES } from '../../model/dashboard-page.ts';
import { publicFolder as builtFolder } from '../../server/package-files.ts';
import { mounted } from '../base-path.ts';
import type { HttpOptions } from '../contract.ts';
import type { HttpApp } from '../schema.ts';
import { DASHBOARD, DATA, DEMO, type Fields, SCRIPT } from '../security.ts';
import { type Asset, makeAsset } from './asset.ts';
import { sendAsset } from './fixed-files.ts';

/** Names stay the same from version to version, so a browser has to revalidate each time. */
const ASK = 'no-cache';
/** Visitors load the script with every page; an update may take an hour. */
const SCRIPT_CACHE = 'public, max-age=3600';
/** One file for all pages of the dashboard: its script reads the URL, and asks who is signed in. */
const DASHBOARD_PATHS = Object.values(DASHBOARD_PAGES).map(({ path }) => path);
const hasParameter = (path: string) => path.includes(':');
/** Placeholders in the built script and the demo pages, which the server replaces. */
const ENDPOINT_MARK = '/v1/visit';
const SCRIPT_MARK = '/fieldmouse.js';

/** The folder of the files for browsers. Throws if it does not exist. */
export function publicFolderOf({ publicFolder = fileURLToPath(builtFolder) }: HttpOptions): string {
  if (existsSync(join(publicFolder, 'fieldmouse.js'))) return publicFolder;
  throw new Error(`the browser files are missing in ${publicFolder}; create them with npm run build`);
}

/** Adds the routes and returns the files that are the same for everybody. */
export function pageRoutes(app: HttpApp, publicFolder: string, { config }: HttpOptions): ReadonlyMap<string, Asset> {
  const { basePath } = config;
  const mount = (text: string) => mounted(text, basePath);
  const dashboard = pageOf(join(publicFolder, 'admin', 'index.html'), DASHBOARD, mount);
  const files: [url: string, Asset][] = [
    [config.scriptPath, scriptOf(join(publicFolder, 'fieldmouse.js'), basePath + config.endpoint)],
    ...DASHBOARD_PATHS.filter((path) => !hasParameter(path)).map((path): [string, Asset] => [path, dashboard]),
    ...demoPages(join(publicFolder, 'demo'), config.scriptPath, mount),
    ...plainFiles(join(publicFolder, 'admin'), '/admin/', DATA),
    // The stage's frame has an opaque origin, and could not load images under another policy.
    ...plainFiles(join(publicFolder, 'demo'), '/', SCRIPT),
  ];
  // For other spellings of a path, such as with a slash at its end; and so that a path has one meaning only.
  for (const [url, asset] of files)
    app.get(url, { config: { security: [] }, schema: { hide: true } }, (request, reply) =>
      sendAsset(request, reply, asset),
    );
  for (const url of DASHBOARD_PATHS.filter(hasParameter))
    app.get(url, { config: { security: DASHBOARD }, schema: { hide: true } }, (request, reply) =>
      sendAsset(request, reply, dashboard),
    );
  return new Map(files);
}

function scriptOf(file: string, endpoint: string): Asset {
  return makeAsset(readFileSync(file, 'utf8').replaceAll(ENDPOINT_MARK, endpoint), {
    type: 'text/javascript; charset=utf-8',
    cacheControl: SCRIPT_CACHE,
    // `*`: pages with `crossorigin` on the tag, or an integrity hash, load it with CORS.
    fields: [...SCRIPT, ['access-control-allow-origin', '*']],
  });
}

/** An index.html is also the page of its folder. */
function demoPages(folder: string, scriptPath: string, mount: (text: string) => string): [url: string, Asset][] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));
  return names.flatMap((name) => {
    const page = pageOf(join(folder, name), DEMO, (text) =>
      mount(text.replaceAll(`"${SCRIPT_MARK}"`, `"${scriptPath}"`)),
    );
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
 * The files of a folder by path. All are read at the start: no path can lead elsewhere, and a client that requests much
 * and reads nothing holds no file open.
 */
function plainFiles(folder: string, prefix: string, fields: Fields): [url: string, Asset][] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => extname(name) in TYPES);
  return names.map((name) => [prefix + name.replaceAll('\\', '/'), fileOf(join(folder, name), fields)]);
}

/** `x.js.br` and `x.js.gz` are the build's compressed forms of `x.js`. */
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
