/** The positions and names that the visitor script reports, and how it stops after a rejection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clicksAt, startSite } from './support/site.ts';
import { samplesOf } from './support/stream.ts';

test('an element that scrolls instead of the window counts as the page', async (t) => {
  const tall = (px: number) => `<i style="display:block;height:${px}px"></i>`;
  const { url, stream, page } = await startSite(t, {
    '/shell': `<style>html,body{height:100%;overflow:hidden}main{height:calc(100% - 100px);overflow:auto}</style>
      <p></p><main>${tall(6900)}<p id=end></p></main>`,
    '/body': `<style>html,body{height:100%;overflow-x:hidden}</style>${tall(5000)}<p></p>`,
    '/log': `<style>section{height:300px;overflow:auto}</style>${tall(250)}<section>${tall(9000)}</section>${tall(2000)}`,
  });
  const heights: Record<string, number | undefined> = {};
  for (const path of ['/body', '/log', '/shell']) {
    const tab = path === '/shell' ? page : await page.context().newPage();
    await tab.goto(url + path);
    heights[path] = (await stream.next('join')).visitor.size[3];
  }
  assert.deepEqual(heights, { '/body': 5100, '/log': 2550, '/shell': 7100 });
  await page.mouse.move(300, 400);
  await page.mouse.wheel(0, 3000);
  await page.waitForFunction(() => document.querySelector('main')?.scrollTop === 3000);
  await stream.next('scroll', ({ s }) => s[2] === Math.round((1000 * (3000 + 800)) / 7100));
  await page.mouse.move(303, 405);
  await stream.until(() => samplesOf(stream.events).find(([, , x, y]) => x === 303 && y === 3405), 'a move in it');
  await page.mouse.click(300, 400);
  assert.equal((await stream.next('click')).y, 3400);
  await page.mouse.click(300, 50);
  assert.equal((await stream.next('click')).y, 50, 'what is beside it does not scroll');
});

test('a click on an element fixed to the window is reported at its unscrolled position', async (t) => {
  const style = `<style>body{height:9000px}aside,nav,th,section,b{display:block;height:50px;width:400px}
    aside{position:fixed;top:0}#menu{top:160px}nav{position:sticky;top:50px}section{margin-top:950px;height:3000px}
    b{position:sticky;top:100px}div{transform:none}#moved{transform:translateY(0);margin-top:-2000px}
    #moved aside{top:200px}</style>`;
  const { url, stream, page } = await startSite(t, {
    '/': `${style}<aside id=fixed></aside><nav><aside id=menu></aside></nav><section><b></b></section><div id=moved><aside id=in></aside></div><p id=end></p>`,
  });
  await page.goto(url);
  await stream.next('join');
  const at = async (y: number) => {
    await page.mouse.click(300, y);
    const { selector, y: told } = await stream.next('click');
    return [selector, told];
  };
  await page.evaluate(() => scrollTo(0, 1500));
  assert.deepEqual(await at(10), ['aside#fixed', 10]);
  assert.deepEqual(await at(60), ['nav', 10]);
  assert.deepEqual(await at(110), ['b', 1010]);
  assert.deepEqual(await at(170), ['aside#menu', 170]);
  const { top } = (await page
    .locator('#in')
    .boundingBox()
    .then((box) => box && { top: box.y })) ?? { top: 0 };
  assert.deepEqual(
    await at(Math.round(top) + 10),
    ['aside#in', Math.round(top) + 1510],
    'fixed to what moves with the page',
  );
});

test('a click names the control around it, also from a shadow tree, and counts on a disabled control', async (t) => {
  const style = `<style>button,a,form,fieldset,span{display:block;width:400px;height:100px;margin:0;border:0;padding:0}
    svg,span{width:50px;height:50px}</style>`;
  const shadow =
    '<x-a id=x><template shadowrootmode=open><style>button{height:100px}</style><button id=in></button></template></x-a>';
  const icon = '<x-b><template shadowrootmode=open><svg height=50></svg></template></x-b>';
  const { url, stream, page } = await startSite(t, {
    '/': `${style}<button id=buy><svg id=icon></svg></button><a id=more href="#"><span></span></a>${shadow}
      <button id=host>${icon}</button><button id=off disabled><span id=word></span></button>
      <fieldset disabled><span id=plain></span></fieldset><form><input type=hidden name=matches></form><p id=end></p>`,
  });
  await page.goto(url);
  await stream.next('join');
  const places = [0, 1, 2, 3, 4, 5, 6].map((i): [number, number] => [10, 10 + 100 * i]);
  assert.deepEqual(await clicksAt(page, stream, [...places, [300, 480]]), [
    'button#buy',
    'a#more',
    'button#in',
    'button#host',
    'button#off',
    'span#plain',
    'form',
    'button#off',
  ]);
  await page.mouse.click(300, 480, { button: 'right' });
  assert.deepEqual(await clicksAt(page, stream, []), ['button#off'], 'a click with the right button is one click');
});

test('a rejected page stops after three tries and gives the reason in the console', async (t) => {
  const { url, server, site, page } = await startSite(t, { '/': '' });
  const refused = async (origin: string, key: string) => {
    let tries = 0;
    const tab = await page.context().newPage();
    tab.on('websocket', () => ++tries);
    tab.on('request', (request) => {
      if (request.method() === 'POST') tries += 1;
    });
    const warned = tab.waitForEvent('console', (message) => message.text().startsWith('Fieldmouse'));
    await tab.goto(origin);
    await tab.evaluate(
      ([src, key]) => {
        const script = Object.assign(document.createElement('script'), { src });
        script.dataset.site = key;
        document.head.append(script);
      },
      [`${server.url}/fieldmouse.js?${key}`, key] as const,
    );
    const said = (await warned).text();
    await tab.close();
    return [said, tries];
  };
  const elsewhere = `${url.replace('127.0.0.1', 'localhost')}/none`;
  assert.deepEqual(await refused(elsewhere, site), [
    'Fieldmouse: refused (403) This site does not allow that origin.',
    3,
  ]);
  assert.deepEqual(await refused(`${url}/none`, 'nope'), ['Fieldmouse: refused (404) There is no such site.', 3]);
});
