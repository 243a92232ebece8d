import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { Browser, card, figure, hasStatus, shows, total } from './browser.js';
import { System } from './system.js';
import { until } from './until.js';

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start(), Browser.start()]);
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

const named = (name, status = 'active') => ({ eventType: 'campaign_status_changed', status, name });
const listed = (page) => page.locator('.campaign h3').allTextContents();

test('without a campaign the page says where campaigns come from', async (t) => {
  const page = await browser.open(t, system.url);
  await shows(page.locator('#campaigns-empty'), /No campaign is active.*campaign\.events\.v1.*cargo dev simulate/);
  await shows(total(page, 'activeCalls'), '0');
});

test('numbers that are produced to Kafka appear, and move', async (t) => {
  const page = await browser.open(t, system.url);
  await hasStatus(page, 'live');
  await system.calls(
    'c-1',
    named('Spring appeal'),
    ...Array(6).fill('call_queued'),
    ...Array(4).fill('call_initiated'),
    ...Array(3).fill('call_answered'),
  );
  await shows(figure(page, 'c-1', 'totalAttempts'), '4');
  await shows(figure(page, 'c-1', 'activeCalls'), '4');
  await shows(figure(page, 'c-1', 'queueDepth'), '2');
  await shows(figure(page, 'c-1', 'answered'), '3');
  await shows(figure(page, 'c-1', 'answerRate'), '75.0 %');
  await shows(total(page, 'activeCalls'), '4');
  await shows(card(page, 'c-1').locator('h3'), 'Spring appeal');
  const row = page.locator('#progress tbody tr', { hasText: 'Spring appeal' });
  await shows(row.locator('.of'), '4 of 6');
  await shows(row.locator('.done'), '66 %');

  await system.calls(
    'c-1',
    { eventType: 'call_ended', callId: 'k-1', outcome: 'converted' },
    { eventType: 'call_ended', callId: 'k-2', status: 'busy' },
    'call_initiated',
  );
  await shows(figure(page, 'c-1', 'activeCalls'), '3');
  await shows(figure(page, 'c-1', 'converted'), '1');
  await shows(figure(page, 'c-1', 'conversionRate'), '33.3 %');
  await shows(total(page, 'totalAttempts'), '5');
  // Every attempt is one part of the whole: 1 converted, 2 answered only, 1 busy, 1 without an outcome.
  const outcomes = page.locator('#outcomes tbody tr');
  await shows(outcomes.nth(0), /Converted120\.0 %/);
  await shows(outcomes.nth(1), /Answered only240\.0 %/);
  await shows(outcomes.nth(3), /Busy120\.0 %/);
  await shows(outcomes.nth(5), /No outcome yet120\.0 %/);
});

test('the health of dialers and of Livefold is shown, silent nodes too', async (t) => {
  const page = await browser.open(t, system.url);
  await system.send('dialer.health.v1', 'dialer-1', {
    tenantId: 'acme',
    nodeId: 'dialer-1',
    cpuUsage: 40,
    memoryUsage: 60,
    activeCalls: 7,
  });
  const node = page.locator('.nodes tbody tr', { hasText: 'dialer-1' });
  await shows(node, /dialer-1\s*40\.0 %\s*60\.0 %\s*7/);
  await shows(page.locator('.gauges div', { hasText: 'CPU' }).locator('dd').first(), '40.0 %');
  await shows(page.locator('.pipeline'), /Last call record.*ago/);
});

test('a search and a filter list some campaigns, and none says how to list all', async (t) => {
  await system.calls('c-2', named('Autumn survey'));
  await system.calls('c-3', named('Winter survey'), 'call_initiated');
  const page = await browser.open(t, system.url);
  await card(page, 'c-3').waitFor();
  await card(page, 'c-2').waitFor();
  await page.getByLabel('Search campaigns').fill('SURVEY');
  await until('both are listed', async () => (await listed(page)).join() === 'Autumn survey,Winter survey');
  await shows(page.locator('#campaign-count'), /2 of \d+/);
  assert.equal(await page.locator('#progress tbody tr').count(), 2);
  await page.getByLabel('Search campaigns').fill('win c-3');
  await until('only that one is listed', async () => (await listed(page)).join() === 'Winter survey');
  await page.getByLabel('Search campaigns').fill('');
  await page.getByLabel('Order').selectOption('activeCalls');
  await until(
    'the busiest is first',
    async () => (await listed(page))[0] === 'Spring appeal' && (await listed(page))[1] === 'Winter survey',
  );
  await page.locator('#status-filter').selectOption('cancelled');
  await shows(page.locator('#campaigns-empty'), /No campaign is like that/);
  await page.getByRole('button', { name: 'List all' }).click();
  await card(page, 'c-2').waitFor();
});

test('a campaign that is paused is still there, and says so', async (t) => {
  const page = await browser.open(t, system.url);
  await hasStatus(page, 'live');
  await system.calls('c-4', named('Short lived'), 'call_initiated');
  await shows(card(page, 'c-4').locator('.badge'), 'active');
  await system.calls('c-4', { eventType: 'campaign_status_changed', status: 'paused' });
  await shows(card(page, 'c-4').locator('.badge'), 'paused');
  await page.locator('#status-filter').selectOption('paused');
  assert.deepEqual(await listed(page), ['Short lived']);
});

test('what is no longer active does not count, whoever has seen it go', async (t) => {
  const page = await browser.open(t, system.url);
  await hasStatus(page, 'live');
  const answer = await fetch(`${system.url}/api/channels/campaigns`, {
    headers: { authorization: `Bearer ${await system.token()}` },
  });
  const before = (await answer.json()).data.reduce((sum, { totalAttempts }) => sum + totalAttempts, 0);
  await shows(total(page, 'totalAttempts'), String(before));
  await system.calls('c-7', named('Counted'), 'call_initiated', 'call_initiated');
  await shows(total(page, 'totalAttempts'), String(before + 2));
  await system.calls(
    'c-7',
    { eventType: 'queue_sampled', activeCalls: 0 },
    { eventType: 'campaign_status_changed', status: 'completed' },
  );
  await shows(card(page, 'c-7').locator('.badge'), 'completed');
  await shows(total(page, 'totalAttempts'), String(before));
});

test('a list that the token does not open is not called empty; with another token it is there', async (t) => {
  const token = await system.token('--channel', 'system');
  const page = await browser.open(t, system.url, {
    before: (opened) => opened.route('**/_local/token', (route) => route.fulfill({ json: { token } })),
  });
  const notice = page.locator('.notice', { hasText: 'This token does not open the list of campaigns' });
  await shows(notice, /Ask whoever gave it to you/);
  await shows(page.locator('#campaigns-empty'), /cannot be listed/);
  assert.equal(await total(page, 'activeCalls').textContent(), '–');
  await notice.getByRole('button', { name: 'Enter a token' }).click();
  await page
    .getByRole('dialog')
    .getByLabel('Token')
    .fill(await system.token());
  await page.getByRole('dialog').getByRole('button', { name: 'Connect' }).click();
  await card(page, 'c-1').waitFor();
  await notice.waitFor({ state: 'detached' });
});

test('the exported CSV has what is listed, and nothing that a spreadsheet would run', async (t) => {
  await system.calls('c-5', named('=HYPERLINK("x"), "quoted"'), 'call_initiated', 'call_answered');
  const page = await browser.open(t, system.url);
  await page.getByLabel('Search campaigns').fill('c-5');
  await shows(figure(page, 'c-5', 'answered'), '1');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export CSV' }).click(),
  ]);
  assert.match(download.suggestedFilename(), /^livefold-campaigns-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.csv$/);
  const [head, row, end, ...more] = (await readFile(await download.path(), 'utf8')).split('\r\n');
  assert.match(
    head,
    /^\uFEFFcampaignId,campaignName,status,activeCalls,queueDepth,dialingRate,totalAttempts,answered,/,
  );
  assert.match(row, /^c-5,"'=HYPERLINK\(""x""\), ""quoted""",active,1,0,[\d.]+,1,1,0,0,0,0,100,0,0,/);
  assert.deepEqual([end, more], ['', []]);
});

test('a number beyond its threshold is marked, listed and sounded, until it is not', async (t) => {
  const page = await browser.open(t, system.url, {
    before: (opened) =>
      opened.addInitScript(() => {
        globalThis.tones = 0;
        const make = AudioContext.prototype.createOscillator;
        AudioContext.prototype.createOscillator = function () {
          globalThis.tones += 1;
          return make.call(this);
        };
      }),
  });
  await card(page, 'c-1').waitFor();
  const tones = () => page.evaluate(() => globalThis.tones);
  // The dialer of the test before may have been silent for long enough to be in the list.
  const warnings = page.locator('#alarms li', { hasText: /Active calls|Queue/ });
  assert.equal(await warnings.count(), 0);
  await page.getByRole('button', { name: 'Thresholds' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Sound a short tone').check();
  const trial = await tones();
  assert.ok(trial > 0, 'a trial of the tone when it is chosen');
  await dialog.getByRole('checkbox', { name: 'Active calls' }).check();
  await dialog.getByLabel('Active calls above').fill('2');
  await dialog.getByRole('button', { name: 'Done' }).click();
  await shows(warnings, /^Active calls \d+, above 2$/);
  await shows(page.locator('.card[data-alarm] .trend'), 'above 2');
  assert.match(await page.title(), /^\(\d\) Campaigns/);
  await until('the tone was sounded', async () => (await tones()) > trial);

  // It is kept over a reload, and a campaign of its own is marked as well.
  await page.reload();
  await shows(page.locator('.card[data-alarm] .trend'), 'above 2');
  await page.getByRole('button', { name: 'Thresholds' }).click();
  await dialog.getByRole('checkbox', { name: 'Active calls' }).uncheck();
  await dialog.getByRole('checkbox', { name: 'Queue', exact: true }).check();
  await dialog.getByLabel('Queue above').fill('0');
  await dialog.getByRole('button', { name: 'Done' }).click();
  await shows(card(page, 'c-1').locator('.campaign-alarm'), /Queue above 0/);
  await page.getByLabel('Only with warnings').check();
  await until('only that one is listed', async () => (await listed(page)).join() === 'Spring appeal');
  await page.getByRole('button', { name: 'Thresholds' }).click();
  await dialog.getByRole('button', { name: 'Reset all' }).click();
  await page.keyboard.press('Escape');
  await until('the warnings are gone', async () => (await warnings.count()) === 0);
});

test('with a campaign selected its calls are shown as they happen', async (t) => {
  const page = await browser.open(t, system.url);
  await hasStatus(page, 'live');
  await card(page, 'c-1').getByRole('button').click();
  const panel = page.locator('#calls');
  await shows(panel.locator('h3'), 'Spring appeal');
  await shows(panel.locator('.empty'), /Calls appear here/);
  // What is produced before the server watches the campaign for us is not told; so it is produced until it is.
  await until('a call is shown', async () => {
    await system.calls('c-1', { eventType: 'call_answered', callId: 'k-77' });
    return panel.locator('.events li', { hasText: 'k-77' }).count();
  });
  await shows(panel.locator('.events li').first(), /^\d\d:\d\d:\d\dAnsweredk-77$/);
  await panel.locator('h3').press('Escape');
  await panel.waitFor({ state: 'hidden' });
  assert.equal(
    await page.evaluate(() => document.activeElement.textContent),
    'Spring appeal',
    'the focus is back at the card',
  );
});

test('everything can be done with the keyboard', async (t) => {
  const page = await browser.open(t, system.url);
  await card(page, 'c-1').waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the numbers');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  const reached = new Set();
  for (let steps = 0; steps < 60; steps += 1) {
    await page.keyboard.press('Tab');
    const [name, isVisible] = await page.evaluate(() => {
      const { activeElement: active } = document;
      const box = active.getBoundingClientRect();
      const bar = document.querySelector('.bar').getBoundingClientRect();
      const isBelowBar = active.closest('.bar') !== null || box.bottom > bar.bottom;
      return [
        active.id || active.closest('.campaign')?.dataset.campaign || active.tagName,
        isBelowBar && box.top < innerHeight,
      ];
    });
    assert.ok(isVisible, `${name} is seen when it has the focus`);
    reached.add(name);
    if (name === 'c-1') break;
  }
  for (const control of [
    'activity-window',
    'progress',
    'search',
    'status-filter',
    'sort',
    'only-alarms',
    'export',
    'c-1',
  ]) {
    assert.ok(reached.has(control), `${control} is reached`);
  }
  await page.keyboard.press('Enter');
  await page.locator('#calls').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'calls-title');
});

test('by hand, numbers move only when they are asked for; every few seconds, only then', async (t) => {
  const page = await browser.open(t, system.url);
  await hasStatus(page, 'live');
  await system.calls('c-6', named('Paced'), 'call_initiated');
  await shows(figure(page, 'c-6', 'totalAttempts'), '1');
  await page.getByLabel('Updates').selectOption('manual');
  await system.calls('c-6', 'call_initiated');
  const token = await system.token();
  await until('the system counted it', async () => {
    const answer = await fetch(`${system.url}/api/channels/campaign:c-6`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return (await answer.json()).data?.totalAttempts === 2;
  });
  // Drawing for another reason shows nothing new either.
  await page.getByLabel('Search campaigns').fill('Paced');
  assert.equal(await figure(page, 'c-6', 'totalAttempts').textContent(), '1');
  await page.getByRole('button', { name: 'Refresh' }).click();
  await shows(figure(page, 'c-6', 'totalAttempts'), '2');
  await page.getByLabel('Updates').selectOption('2');
  await system.calls('c-6', 'call_initiated');
  await shows(figure(page, 'c-6', 'totalAttempts'), '3');
});

test('lines can be hidden, and read as a table', async (t) => {
  const page = await browser.open(t, system.url);
  const queue = page.getByRole('button', { name: /^Queue depth/ });
  await queue.click();
  assert.equal(await queue.getAttribute('aria-pressed'), 'false');
  await page.locator('#activity-table summary').click();
  await shows(page.locator('#activity-table tbody td').first(), /^\d+$/);
  await until('the drawing has a name with its numbers', async () =>
    /Now: Active calls \d+/.test(await page.locator('#activity').getAttribute('aria-label')),
  );
});

test('a page that does not draw warns all the same', async (t) => {
  const page = await browser.open(t, system.url, {
    before: (opened) =>
      opened.addInitScript(() => {
        const frame = globalThis.requestAnimationFrame.bind(globalThis);
        globalThis.requestAnimationFrame = (draw) => (globalThis.isHidden ? 0 : frame(draw));
      }),
  });
  await card(page, 'c-1').waitFor();
  await page.getByLabel('Updates').selectOption('manual');
  // As a hidden tab: no frame is given to it.
  await page.evaluate(() => (globalThis.isHidden = true));
  await system.calls(
    'c-8',
    named('Unwanted'),
    ...Array(20).fill('call_initiated'),
    ...Array.from({ length: 5 }, (_, place) => ({
      eventType: 'call_ended',
      callId: `k-${place}`,
      outcome: 'opted_out',
    })),
  );
  await until('the title says it', async () => /^\(\d\) Campaigns/.test(await page.title()));
});
