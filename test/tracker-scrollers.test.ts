/** Elements that scroll instead of the window, sideways or in a shadow tree, and documents that are rewritten. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { clicksAt, startSite } from './support/site.ts';
import { type StreamReader, samplesOf } from './support/stream.ts';

/** Something so large. */
const block = (width: number, height: number) => `<i style="display:block;width:${width}px;height:${height}px"></i>`;

const SHELL = `main{position:fixed;left:80px;top:100px;right:0;bottom:0;overflow:auto}`;

/** Waits until the pointer is told to be at a place, page pixels. */
async function seeAt(stream: StreamReader, x: number, y: number): Promise<void> {
  await stream.until(() => samplesOf(stream.events).find(([, , a, b]) => a === x && b === y), `a move at ${x}, ${y}`);
}

async function clickAt(page: Page, stream: StreamReader, x: number, y: number): Promise<[number, number]> {
  await page.mouse.click(x, y);
  const click = await stream.next('click');
  return [click.x, click.y];
}

test('positions in an element that scrolls sideways instead of the window are reported without the scrolling', async (t) => {
  const { url, stream, page } = await startSite(t, {
    '/both': `<style>${SHELL}</style><main>${block(5000, 7000)}</main>`,
    '/sideways': `<style>${SHELL}</style><main>${block(3000, 300)}</main>`,
  });
  await page.goto(`${url}/both`);
  // 1,200 × 700 pixels of the window show a part that is 5,000 × 7,000 large.
  assert.deepEqual((await stream.next('join')).visitor.size, [1280, 800, 5080, 7100]);
  await page.evaluate(() => document.querySelector('main')?.scrollTo(1000, 2000));
  assert.deepEqual(await clickAt(page, stream, 300, 400), [1300, 2400]);
  await page.mouse.move(310, 410);
  await seeAt(stream, 1310, 2410);
  assert.deepEqual(await clickAt(page, stream, 40, 50), [40, 50], 'what is beside it does not scroll');
  await page.goto(`${url}/sideways`);
  assert.deepEqual((await stream.next('page')).size, [1280, 800, 3080, 800]);
  await page.evaluate(() => document.querySelector('main')?.scrollTo(700, 0));
  assert.deepEqual(await clickAt(page, stream, 300, 400), [1000, 400]);
});

test('positions on right-to-left pages are measured from the left end of the page', async (t) => {
  const toLeft = `<script>document.documentElement.dir = 'rtl'</script>`;
  const { url, stream, page } = await startSite(t, {
    '/window': `${toLeft}${block(4000, 300)}<aside id=fixed style="position:fixed;left:0;top:500px">text</aside>`,
    '/part': `${toLeft}<style>${SHELL}</style><main>${block(3000, 300)}</main>`,
    '/narrow': `${toLeft}${block(400, 3000)}`,
  });
  await page.goto(`${url}/window`);
  assert.deepEqual((await stream.next('join')).visitor.size, [1280, 800, 4000, 800]);
  assert.deepEqual(await clickAt(page, stream, 200, 110), [2920, 110]);
  await page.evaluate(() => scrollTo(-1000, 0));
  assert.deepEqual(await clickAt(page, stream, 200, 110), [1920, 110]);
  await page.mouse.move(210, 120);
  await seeAt(stream, 1930, 120);
  assert.deepEqual(await clickAt(page, stream, 5, 505), [2725, 505], 'what is fixed is where it is without scrolling');
  await page.goto(`${url}/part`);
  assert.deepEqual((await stream.next('page')).size, [1280, 800, 3080, 800]);
  await page.evaluate(() => document.querySelector('main')?.scrollTo(-700, 0));
  assert.deepEqual(await clickAt(page, stream, 300, 400), [1400, 400]);
  await page.goto(`${url}/narrow`);
  await stream.next('page');
  assert.deepEqual(await clickAt(page, stream, 300, 400), [300, 400]);
});

test('a click is reported at its position on the page even right after the page replaced the scrolling element', async (t) => {
  const { url, stream, page } = await startSite(t, { '/': `<style>${SHELL}</style><main>${block(100, 7000)}</main>` });
  await page.goto(url);
  assert.equal((await stream.next('join')).visitor.size[3], 7100);
  await page.evaluate(() => {
    const main = document.querySelector('main') as HTMLElement;
    main.replaceWith(main.cloneNode(true));
    document.querySelector('main')?.scrollTo(0, 2000);
  });
  assert.deepEqual(await clickAt(page, stream, 300, 400), [300, 2400]);
});

test('the element that scrolls instead of the window may be in a shadow tree, also around slotted content', async (t) => {
  const shadow = (inner: string) =>
    `<x-shell><template shadowrootmode=open><style>${SHELL}</style><main>${inner}</main></template>`;
  const { url, stream, page } = await startSite(t, {
    '/inside': `${shadow(block(100, 7000))}</x-shell>`,
    '/slotted': `${shadow('<slot></slot>')}${block(100, 9000)}</x-shell>`,
    '/nested': `<x-app><template shadowrootmode=open>${shadow(block(100, 5000))}</x-shell></template></x-app>`,
  });
  await page.goto(`${url}/inside`);
  assert.equal((await stream.next('join')).visitor.size[3], 7100);
  // The next page is of the same visitor once this one knows its token.
  await page.waitForFunction(() => sessionStorage.length > 0);
  for (const [path, height] of [
    ['/slotted', 9100],
    ['/nested', 5100],
  ] as const) {
    await page.goto(url + path);
    assert.equal((await stream.next('page')).size[3], height);
    await page.mouse.move(300, 400);
    await page.evaluate(() => {
      const app = document.querySelector('x-app')?.shadowRoot ?? document;
      app.querySelector('x-shell')?.shadowRoot?.querySelector('main')?.scrollTo(0, 2000);
    });
    assert.deepEqual(await clickAt(page, stream, 300, 400), [300, 2400]);
  }
});

test('a rewritten document continues as the same page, with each click once', async (t) => {
  const { url, stream, page } = await startSite(t, { '/': '<p id=end></p>' });
  await page.goto(url);
  const { visitor } = await stream.next('join');
  const anew = '<style>body{margin:0}p{width:400px;height:100px;margin:0}</style><p id=new></p><p id=end></p>';
  for (const how of ['open', 'write', 'open'] as const) {
    await page.evaluate(
      ([how, anew]) => {
        if (how === 'open') document.open();
        document.write(anew);
        document.close();
      },
      [how, anew] as const,
    );
    assert.deepEqual(await clicksAt(page, stream, [[10, 10]]), ['p#new']);
  }
  await page.evaluate(() => history.pushState(null, '', '/later'));
  assert.deepEqual([(await stream.next('page')).v], [visitor.v]);
  await page.evaluate(() => window.fieldmouse?.stop());
  assert.equal((await stream.next('leave')).v, visitor.v);
});
