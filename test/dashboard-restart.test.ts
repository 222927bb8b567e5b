import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDashboard, seeHere } from './support/dashboard.ts';
import { freeAddress } from './support/free-port.ts';
import { startServer } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';

test('a dashboard opened later shows what the server knows, and a restart loses no visit', async (t) => {
  const { server, browser, dashboard } = await openDashboard(t, 1280, 800, { workers: 1, listen: await freeAddress() });
  const tab = await (await browser.newContext()).newPage();
  await tab.goto(`${server.url}/`);
  await seeHere(dashboard, 1);
  const id = (await dashboard.locator('.visitors .row').getAttribute('data-id')) as string;
  const lost = new BinaryVisitor(t, server.ws, { page: '/gone' });
  await lost.hello;
  await seeHere(dashboard, 2);
  lost.bye();
  await dashboard.locator('.activity-feed [data-kind=leave]').waitFor();
  for (let i = 0; i < 5; i++) await tab.mouse.move(100 + i * 20, 200, { steps: 20 });

  // The list of happenings and the activity lines are filled at once.
  await dashboard.reload();
  await dashboard.locator(`.activity-feed [data-kind=join][data-id="${id}"]`).getByText('arrived, now on').waitFor();
  await dashboard.locator('.activity-feed [data-kind=leave]').waitFor();
  assert.equal(await dashboard.getByText('No activity since').count(), 0);
  await dashboard.waitForFunction(() => {
    const canvas = document.querySelector('.visitors canvas') as HTMLCanvasElement | null;
    const { data } = canvas?.getContext('2d')?.getImageData(0, 0, 192, 45) ?? { data: [] };
    return data.some((one) => one > 0);
  });

  const shown = async () =>
    /(\d+) s\b/.exec(await dashboard.locator(`.visitors [data-id="${id}"] .since`).innerText())?.[1];
  const atLeast = async (seconds: number) => {
    await dashboard.waitForFunction(
      ([id, least]) => {
        const text = document.querySelector(`.visitors [data-id="${id}"] .since`)?.textContent ?? '';
        return Number(/(\d+) s$/.exec(text)?.[1] ?? (/min$/.test(text) ? 60 : 0)) >= Number(least);
      },
      [id, seconds],
    );
  };
  await atLeast(4);
  const before = Number((await shown()) ?? 60);
  await server.stop();
  await dashboard.locator('[data-link=lost]').waitFor();
  const again = await startServer(t, { data: server.data, listen: server.url.replace('http:', 'tcp:'), workers: 1 });
  await dashboard.locator('[data-link=live]').waitFor();
  await seeHere(dashboard, 1);
  assert.equal(await dashboard.locator('.visitors .row').getAttribute('data-id'), id);
  await atLeast(before);
  const text = await dashboard.locator('.activity-feed li').first().innerText();
  assert.ok(!text.includes('arrived on'), text);

  // Nobody any more: it says so, and when the last one left.
  await tab.close();
  await dashboard.getByText('No visitors right now', { exact: true }).waitFor();
  await dashboard.getByText('The last visitor left at').waitFor();
  await again.stop();
  await startServer(t, { data: server.data, listen: server.url.replace('http:', 'tcp:'), workers: 1 });
  await dashboard.reload();
  await dashboard.getByText(/The last visitor (left|was here) at/).waitFor();
});
