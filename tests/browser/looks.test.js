import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, card } from './browser.js';
import { System, TENANT } from './system.js';
import { until } from './until.js';

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start(), Browser.start()]);
  const long = 'A campaign whose name is as long as somebody’s patience, without an end in sight';
  await system.calls(
    'c-1',
    { eventType: 'campaign_status_changed', status: 'active', name: long },
    ...Array(30).fill('call_initiated'),
  );
  await system.calls(
    'an_id_that_is_very_long_and_has_no_place_to_break_at_all_because_ids_have_none',
    'call_initiated',
  );
  await system.send('platform.analytics.events.v1', 'evt_1', {
    type: 'MESSAGE_SENT',
    eventId: 'evt_1',
    organizationId: TENANT,
  });
  await system.send('dialer.health.v1', 'd', {
    tenantId: TENANT,
    nodeId: 'dialer-with-a-rather-long-name.eu-west-1.example.internal',
    cpuUsage: 99.9,
    memoryUsage: 95,
    activeCalls: 1234,
  });
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const LIGHT = 'rgb(244, 246, 248)';
const DARK = 'rgb(13, 17, 23)';

test('the theme is the system’s, unless it is chosen by hand, and that is kept', async (t) => {
  const page = await browser.open(t, system.url);
  await card(page, 'c-1').waitFor();
  assert.equal(await background(page), LIGHT);
  await page.emulateMedia({ colorScheme: 'dark' });
  await until('it is dark', async () => (await background(page)) === DARK);
  await page.getByLabel('Theme').selectOption('light');
  assert.equal(await background(page), LIGHT);
  await page.getByLabel('Theme').selectOption('dark');
  await page.emulateMedia({ colorScheme: 'light' });
  assert.equal(await background(page), DARK);
  // Before any module ran: else a dark page would begin with a flash.
  await page.route('**/js/campaigns-page.js', (route) => route.abort());
  await page.reload();
  assert.equal(await background(page), DARK);
});

test('charts are painted in the theme’s colours', async (t) => {
  const page = await browser.open(t, system.url);
  await until('a line is drawn', () => page.evaluate(() => document.querySelector('#activity .waiting').hidden));
  const inks = () =>
    page.evaluate(() => {
      const canvas = document.querySelector('#activity canvas');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Set();
      for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] === 255) seen.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
      return [...seen];
    });
  await until('the light blue', async () => (await inks()).includes('43,120,197'));
  await page.getByLabel('Theme').selectOption('dark');
  await until('the dark blue', async () => (await inks()).includes('100,174,242'));
});

for (const width of [320, 390, 768, 1280, 2560]) {
  test(`nothing is wider than a screen of ${width} pixels`, async (t) => {
    for (const path of ['/', '/event.html', '/event.html?event=evt_1']) {
      const page = await browser.open(t, system.url + path, { viewport: { width, height: 800 } });
      if (path === '/') {
        await card(page, 'c-1').waitFor();
        await card(page, 'c-1').getByRole('button').click();
        await page.locator('#calls').waitFor();
        await page.locator('.nodes tbody tr').waitFor();
      } else {
        await page.locator('#event-board:not([hidden]), #event-empty:not([hidden])').first().waitFor();
      }
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${path} is ${wide} pixels too wide`);
    }
  });
}

test('on a phone what is touched is large enough', async (t) => {
  const page = await browser.open(t, system.url, { viewport: { width: 390, height: 844 }, hasTouch: true });
  await card(page, 'c-1').waitFor();
  const small = await page.evaluate(() =>
    [...document.querySelectorAll('button, select, input, a, summary')]
      .filter((node) => node.checkVisibility() && !node.classList.contains('skip'))
      .map((node) => ({
        name: node.id || node.textContent.trim(),
        box: (node.closest('label.check') ?? node).getBoundingClientRect(),
      }))
      .filter(({ box }) => box.width < 24 || box.height < 24)
      .map(({ name, box }) => `${name} ${Math.round(box.width)} × ${Math.round(box.height)}`),
  );
  assert.deepEqual(small, []);
});

test('nothing moves by itself for those who prefer that', async (t) => {
  const calm = await browser.open(t, system.url, { reducedMotion: 'reduce' });
  await card(calm, 'c-1').waitFor();
  assert.equal(await calm.evaluate(() => document.getAnimations().length), 0);
  const lively = await browser.open(t, system.url);
  await lively.locator('#status[data-status="live"]').waitFor();
  assert.ok((await lively.evaluate(() => document.getAnimations().length)) > 0);
});
