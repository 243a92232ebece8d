import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, card, figure, hasStatus, shows } from './browser.js';
import { System, TENANT } from './system.js';
import { until } from './until.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let system;
let browser;

const ago = (milliseconds) => new Date(Date.now() - milliseconds).toISOString();
const call = (eventType, age, number) => ({ eventType, callId: `k-${number}`, timestamp: ago(age) });

before(async () => {
  [system, browser] = await Promise.all([System.start(), Browser.start()]);
  await system.calls(
    'c-1',
    { eventType: 'campaign_status_changed', status: 'active', name: 'Spring appeal', timestamp: ago(10 * DAY) },
    ...Array.from({ length: 7 }, (_, n) => call('call_initiated', 3 * DAY + HOUR, `days-${n}`)),
    ...Array.from({ length: 5 }, (_, n) => call('call_initiated', 5 * HOUR, `hours-${n}`)),
    ...Array.from({ length: 3 }, (_, n) => call('call_initiated', 20 * MINUTE, `then-${n}`)),
    ...Array.from({ length: 2 }, (_, n) => call('call_initiated', 5 * MINUTE, `lately-${n}`)),
    ...Array.from({ length: 2 }, (_, n) => call('call_answered', 4 * MINUTE, `lately-${n}`)),
  );
  await system.send('platform.analytics.events.v1', 'evt_1', {
    type: 'MESSAGE_SENT',
    eventId: 'evt_1',
    organizationId: TENANT,
    timestamp: ago(6 * MINUTE),
  });
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

/** Opens the page, and a campaign on it. */
async function opened(t, search = '', options = {}) {
  const page = await browser.open(t, `${system.url}/${search}`, options);
  await hasStatus(page, 'live');
  await card(page, 'c-1').locator('h3 button').click();
  return page;
}

const chart = (page) => page.locator('#calls .chart.past');
const range = (page) => page.getByLabel('Range', { exact: true });

/** Waits until the chart says that so many calls were attempted in all. */
async function attempts(page, number) {
  await until(`${number} attempts`, async () => {
    const label = await chart(page).getAttribute('aria-label');
    return label?.includes(`Attempts ${number},`);
  });
}

test('a campaign that is opened begins with its last hour, and goes on', async (t) => {
  const page = await opened(t);
  await attempts(page, 5);
  assert.match(await chart(page).getAttribute('aria-label'), /History by minute/);
  await system.calls('c-1', call('call_initiated', 0, 'now'));
  await attempts(page, 6);
});

test('another range is chosen by the keyboard, stays on reload, and holds for the next campaign', async (t) => {
  const page = await opened(t);
  await range(page).focus();
  await page.keyboard.press('ArrowDown');
  await attempts(page, 11);
  await page.keyboard.press('ArrowDown');
  await attempts(page, 18);
  assert.match(page.url(), /range=week/);
  await page.reload();
  await hasStatus(page, 'live');
  await card(page, 'c-1').locator('h3 button').click();
  await attempts(page, 18);
  assert.equal(await range(page).inputValue(), 'week');
});

test('a range of one’s own stands in the address, and one that makes no sense is refused with words', async (t) => {
  const page = await opened(t);
  await range(page).selectOption('custom');
  const [from, to] = [page.getByLabel('From', { exact: true }), page.getByLabel('To', { exact: true })];
  await from.fill('2026-01-02T00:00');
  await to.fill('2026-01-01T00:00');
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await shows(page.locator('#calls .problem'), 'It has to begin before it ends.');
  assert.equal(await from.getAttribute('aria-invalid'), 'true');
  await from.fill('2020-01-01T00:00');
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await shows(page.locator('#calls .problem'), /At most 750 days/);
  const local = (age) => {
    const at = Date.now() - age;
    return new Date(at - new Date(at).getTimezoneOffset() * MINUTE).toISOString().slice(0, 16);
  };
  await from.fill(local(6 * HOUR));
  await to.fill(local(4 * HOUR));
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await attempts(page, 5);
  assert.equal(await page.locator('#calls .problem').textContent(), '');
  const address = page.url();
  assert.match(address, /from=.*&to=/);
  const again = await opened(t, new URL(address).search);
  await attempts(again, 5);
});

test('while the past is not to be had the present goes on, and it can be asked for again', async (t) => {
  let isBroken = true;
  const page = await opened(t, '', {
    before: (opening) =>
      opening.route('**/channels/**/history**', (route) =>
        isBroken
          ? route.fulfill({
              status: 503,
              json: { success: false, error: { code: 'unavailable', message: 'Try again later.' } },
            })
          : route.continue(),
      ),
  });
  await shows(page.locator('#calls .past-failure span'), /The past cannot be shown/);
  const before = Number(await figure(page, 'c-1', 'totalAttempts').textContent());
  await system.calls('c-1', call('call_initiated', 0, 'meanwhile'));
  await shows(figure(page, 'c-1', 'totalAttempts'), String(before + 1));
  isBroken = false;
  await page.locator('#calls .past-failure button').click();
  await until('the past is there', async () => /Attempts [1-9]/.test((await chart(page).getAttribute('aria-label')) ?? ''));
  assert.equal(await page.locator('#calls .past-failure').isVisible(), false);
});

test('the lines of all campaigns begin before the page was opened', async (t) => {
  const page = await browser.open(t, system.url);
  await hasStatus(page, 'live');
  await page.locator('#activity-window').selectOption('900');
  await page.locator('#activity-table summary').click();
  await until('minutes of before are in the table', async () => {
    const rows = await page.locator('#activity-table tbody tr').count();
    return rows >= 3;
  });
});

test('an event begins with its last hour too', async (t) => {
  const page = await browser.open(t, `${system.url}/event.html?event=evt_1`);
  await until('its message is there', async () => {
    const label = await page.locator('#past .chart').getAttribute('aria-label');
    return label?.includes('Messages 1');
  });
});

test('the numbers are there as a table, and nothing is wider than a phone', async (t) => {
  const page = await opened(t, '', { viewport: { width: 360, height: 740 } });
  await attempts(page, await sumOf(page));
  await page.locator('#calls .as-table summary').click();
  await page.locator('#calls .as-table tbody tr').first().waitFor();
  const [width, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= shown, `${width} > ${shown}`);
});

/** What the chart says by now. */
async function sumOf(page) {
  return until('the chart has numbers', async () => {
    const label = await chart(page).getAttribute('aria-label');
    return Number(label?.match(/Attempts (\d+),/)?.[1] ?? 0);
  });
}
