/** A web site with the visitor script, in a browser. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import { launch, openPage } from './browser.ts';
import { FILE } from './owner.ts';
import { startServer } from './server.ts';
import { StreamReader } from './stream.ts';

const STYLE = '<style>body{margin:0}form,label,p{display:block;margin:0;width:400px;height:100px}</style>';

/** Shared by all sites of a test file. */
const server = await startServer(FILE, { workers: 1 });

/**
 * Serves pages of a site, each with the visitor script, and other pages that are empty. `script` adds attributes to the
 * script element. Pages under `/quirks` have no doctype.
 */
export async function startSite(t: TestContext, pages: Record<string, string>, script = '') {
  let tag = '';
  const host = createServer(({ url }, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    const body = pages[url ?? ''];
    const page = body === undefined ? '' : tag + STYLE + body;
    response.end(url?.startsWith('/quirks') ? page : `<!doctype html>${page}`);
  }).listen(0, '127.0.0.1');
  await once(host, 'listening');
  t.after(() => {
    host.close();
    host.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
  const site = await server.newSite(url);
  tag = `<script ${script} defer src="${server.url}/fieldmouse.js" data-site="${site}"></script>`;
  const stream = await StreamReader.open(t, server, { site, moves: 'full' });
  const page = await openPage(await launch(t));
  return { url, server, site, stream, page };
}

/** Clicks at positions one after another. Resolves with the selectors reported, up to a last click on `p#end`. */
export async function clicksAt(
  page: Page,
  stream: StreamReader,
  places: readonly [number, number][],
): Promise<string[]> {
  for (const [x, y] of places) await page.mouse.click(x, y);
  await page.locator('#end').click();
  const selectors: string[] = [];
  while (selectors.at(-1) !== 'p#end') selectors.push((await stream.next('click')).selector);
  return selectors.slice(0, -1);
}
