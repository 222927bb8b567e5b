/**
 * The visitor script on real-world pages: names already used, frames, prerendering, labels, and read-only histories.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Visit } from '../src/model/visit.ts';
import { until } from './support/exact.ts';
import { clicksAt, startSite } from './support/site.ts';

test('names already used by the page stop neither the script nor its clicks', async (t) => {
  const named = ['id', 'className', 'localName', 'classList', 'getAttribute', 'getBoundingClientRect', 'dataset'];
  const forms = named.map((name, i) => `<form id=f${i} class="big wide"><input type=hidden name=${name}></form>`);
  const images = '<img name=currentScript><img name=documentElement><div id=fieldmouse></div>';
  const { url, stream, page } = await startSite(
    t,
    { '/': `${forms.join('')}<p id=end></p>${images}` },
    'id=fieldmouse',
  );
  await page.goto(url);
  await stream.next('join');
  const places = named.slice(0, 6).map((_, i): [number, number] => [300, 50 + 100 * i]);
  const told = await clicksAt(page, stream, places);
  assert.deepEqual(
    told,
    places.map((_, i) => `form#f${i}.big.wide`),
  );
  assert.equal(await page.evaluate(() => typeof window.fieldmouse?.start), 'function');
});

test('a click on a label is one click, however its input is attached', async (t) => {
  const labels = [
    '<label id=l0 for=a>one</label>',
    '<label id=l1><input type=checkbox>two</label>',
    '<label id=l2><input type=radio>three</label>',
    '<x-l><template shadowrootmode=open><label id=l3 style="display:block;height:100px"><input type=checkbox></label></template></x-l>',
  ];
  const { url, stream, page } = await startSite(t, {
    '/': `${labels.join('')}<p id=end></p><input id=a type=checkbox>`,
  });
  await page.goto(url);
  await stream.next('join');
  const places = labels.map((_, i): [number, number] => [300, 50 + 100 * i]);
  assert.deepEqual(await clicksAt(page, stream, [...places, ...places]), [
    ...['label#l0', 'label#l1', 'label#l2', 'label#l3'],
    ...['label#l0', 'label#l1', 'label#l2', 'label#l3'],
  ]);
});

test('a history object that cannot be changed only delays the report of a page change', async (t) => {
  const { url, stream, page } = await startSite(t, { '/': '<p id=end></p>' });
  await page.addInitScript(() => {
    for (const name of ['pushState', 'replaceState'] as const)
      Object.defineProperty(history, name, { value: history[name], writable: false });
  });
  await page.goto(url);
  await stream.next('join');
  assert.deepEqual(await clicksAt(page, stream, [[900, 600]]), ['html']);
  await page.evaluate(() => history.pushState(null, '', '/next'));
  await page.mouse.move(500, 500, { steps: 3 });
  assert.equal((await stream.next('page')).page, '/next');
});

test('each page of an application has its own height, also if it is shorter or as high as the one before', async (t) => {
  const { url, server, site, stream, page } = await startSite(t, { '/': '<div style="height:5000px"></div>' });
  await page.goto(url);
  await stream.next('join');
  const heights = async () => {
    const { visits } = await (await server.api(`/v1/visits?site=${site}`)).json();
    return (visits[0] as Visit | undefined)?.stays.map(({ page, height }) => [page, height]);
  };
  const expected: [string, number][] = [['/', 5000]];
  const check = () => until(async () => isDeepStrictEqual(await heights(), expected), JSON.stringify(expected));
  await check();
  for (const [path, height] of [
    ['/short', 900],
    ['/as-high', 900],
    ['/long', 3000],
  ] as const) {
    await page.evaluate(
      ([path, height]) => {
        history.pushState(null, '', path);
        (document.querySelector('div') as HTMLElement).style.height = `${height}px`;
      },
      [path, height] as const,
    );
    expected.push([path, height]);
    await check();
  }
});

test('a frame of the same site has a visitor of its own, and the page around it keeps its visitor', async (t) => {
  const framed = '<p id=end></p><iframe src="/widget"></iframe>';
  const { url, stream, page } = await startSite(t, { '/a': framed, '/b': framed, '/widget': '' });
  await page.goto(`${url}/a`);
  const visitors = [(await stream.next('join')).visitor, (await stream.next('join')).visitor];
  const ofPage = visitors.find((one) => one.page === '/a');
  assert.deepEqual(visitors.map((one) => one.page).sort(), ['/a', '/widget']);
  await page.goto(`${url}/b`);
  const change = await stream.next('page');
  assert.deepEqual([change.v, change.page], [ofPage?.v, '/b'], 'the tab goes on as its visitor');
  assert.deepEqual(await clicksAt(page, stream, []), []);
});
