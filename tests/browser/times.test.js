import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, card, hasStatus, shows, total } from './browser.js';
import { System } from './system.js';

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start(), Browser.start()]);
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

/** How the page writes `at` for a viewer in a zone whose clock says `now`. */
async function written(t, timezoneId, now, at) {
  const before = (page) => page.clock.setFixedTime(new Date(now));
  const page = await browser.open(t, system.url, { timezoneId, before });
  return page.evaluate(async (when) => (await import('/js/format.js')).time(when), at);
}

test('a time that is not of today has its day, by the clock of the viewer and not of the server', async (t) => {
  const [now, at] = ['2026-03-01T16:00:00Z', '2026-03-01T14:30:00Z'];
  assert.equal(await written(t, 'America/New_York', now, at), '09:30:00', 'both on the first of March');
  assert.equal(await written(t, 'Asia/Tokyo', now, at), '1 Mar, 23:30:00', 'it is the second of March there');
});

test('a time of another year has the year too', async (t) => {
  const [now, at] = ['2027-01-01T01:00:00Z', '2026-12-31T23:59:59Z'];
  assert.equal(await written(t, 'UTC', now, at), '31 Dec 2026, 23:59:59');
  assert.equal(await written(t, 'America/New_York', now, at), '18:59:59', 'it is New Year’s Eve there still');
});

test('a campaign whose name shows nothing is called by its id', async (t) => {
  const page = await browser.open(t, system.url);
  await hasStatus(page, 'live');
  const called = (name) => ({ eventType: 'campaign_status_changed', status: 'active', name });
  await system.calls('c-blank', called('   '));
  await shows(card(page, 'c-blank').locator('h3'), 'c-blank');
  await system.calls('c-invisible', called('\u200b\u2060\u00a0'));
  await shows(card(page, 'c-invisible').locator('h3'), 'c-invisible');
});

test('a campaign that is paused while calls go on keeps its calls in the totals, and is found after a reload', async (t) => {
  const page = await browser.open(t, system.url);
  await hasStatus(page, 'live');
  const campaign = (status) => ({ eventType: 'campaign_status_changed', status, name: 'On hold' });
  await system.calls('c-held', campaign('active'), ...Array(13).fill('call_initiated'));
  await shows(total(page, 'activeCalls'), '13');
  await system.calls('c-held', campaign('paused'));
  for (const isReloaded of [false, true]) {
    if (isReloaded) await page.reload();
    await shows(card(page, 'c-held').locator('.badge'), 'paused');
    await page.locator('#status-filter').selectOption('paused');
    await shows(card(page, 'c-held').locator('h3'), 'On hold');
    await shows(total(page, 'activeCalls'), '13');
  }
});
