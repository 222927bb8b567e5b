/** Pages in background tabs where WebSockets are blocked: they leave when they are hidden, and come when they are shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTabs } from './support/background-tab.ts';
import { startSite } from './support/site.ts';

/** `http:` does not stand for WebSockets. */
const NO_SOCKETS = '<meta http-equiv=content-security-policy content="connect-src http:"><p id=end></p>';

test('a page that is opened in the background joins when it is shown where WebSockets are blocked', async (t) => {
  const { url, server, stream } = await startSite(t, { '/hidden': NO_SOCKETS, '/shown': NO_SOCKETS, '/free': '' });
  const browser = await startTabs(t);
  const hidden = await browser.open(`${url}/hidden`, true);
  // Opened later, it joins first: both try by POST in their third attempt.
  await browser.open(`${url}/shown`, false);
  assert.equal((await stream.next('join')).visitor.page, '/shown');
  assert.equal(await hidden.evaluate('document.hidden'), true);
  await browser.open(`${url}/free`, true);
  assert.equal((await stream.next('join')).visitor.page, '/free', 'over a WebSocket a hidden page is there');
  await hidden.show();
  assert.equal((await stream.next('join')).visitor.page, '/hidden');
  await hidden.click(211, 212);
  assert.equal((await stream.next('click')).x, 211);
  assert.equal(server.workerPids().length, 1);
});
