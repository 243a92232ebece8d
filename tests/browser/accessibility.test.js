import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Browser, card, hasStatus, shows } from './browser.js';
import { System, TENANT } from './system.js';

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start(), Browser.start()]);
  for (const [place, status] of ['active', 'active', 'active'].entries()) {
    await system.calls(
      `c-${place}`,
      { eventType: 'campaign_status_changed', status, name: `Campaign ${place}` },
      ...Array(40).fill('call_initiated'),
      ...Array(20).fill('call_answered'),
      ...Array(8).fill({ eventType: 'call_ended', callId: 'k', outcome: 'opted_out' }),
      ...Array(5).fill('call_queued'),
    );
  }
  await system.send('platform.analytics.events.v1', 'evt_1', {
    type: 'MESSAGE_SENT',
    eventId: 'evt_1',
    organizationId: TENANT,
  });
  await system.send('platform.analytics.check-in.v1', 'evt_1', {
    type: 'CHECK_IN_PROCESSED',
    eventId: 'evt_1',
    organizationId: TENANT,
    checkInData: { id: 'u', name: 'Ada Lovelace' },
  });
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

/** What axe finds wrong with a page as it is now. What it cannot judge is told as well. */
async function check(t, page, what) {
  // As a debugger would: the page's own policy lets no foreign script in.
  await page.evaluate(axe);
  const { violations, incomplete, passes } = await page.evaluate(
    (rules) => globalThis.axe.run({ runOnly: rules }),
    RULES,
  );
  const told = (found) =>
    found.map(
      ({ id, nodes }) =>
        `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join('; ')}`,
    );
  t.diagnostic(
    `${what}: ${passes.length} rules passed, ${violations.length} violated, ${incomplete.length} to be looked at (${incomplete.map(({ id }) => id).join(', ')})`,
  );
  assert.deepEqual(told(violations), [], what);
}

for (const colorScheme of ['light', 'dark']) {
  test(`the campaigns are accessible, ${colorScheme}`, async (t) => {
    // Now: a node that is silent for half a minute is no longer warned of.
    const health = { tenantId: TENANT, nodeId: 'dialer-1', cpuUsage: 97, memoryUsage: 50 };
    await system.send('dialer.health.v1', 'd', health);
    const page = await browser.open(t, system.url, { colorScheme, reducedMotion: 'reduce' });
    await hasStatus(page, 'live');
    await card(page, 'c-0').waitFor();
    // With warnings, a campaign selected and the table open: as much as there can be.
    await shows(page.locator('#alarms'), /CPU/);
    await page.locator('#activity-table summary').click();
    await check(t, page, 'campaigns');
    await card(page, 'c-0').getByRole('button').click();
    await page.locator('#calls .as-table summary').click();
    await page.locator('#calls .as-table tbody tr').first().waitFor();
    await page.getByLabel('Range', { exact: true }).selectOption('custom');
    await page.getByLabel('From', { exact: true }).fill('');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await shows(page.locator('#calls .problem'), 'Give both times.');
    await check(t, page, 'campaigns, one selected, a range of one’s own');
    await page.getByRole('button', { name: 'Thresholds' }).click();
    await check(t, page, 'thresholds');
    await page.keyboard.press('Escape');
    await page.getByLabel('Search campaigns').fill('nothing like this');
    await check(t, page, 'campaigns, none listed');
  });

  test(`the live event is accessible, ${colorScheme}`, async (t) => {
    const page = await browser.open(t, `${system.url}/event.html?event=evt_1`, {
      colorScheme,
      reducedMotion: 'reduce',
    });
    await page.locator('#checkins li').waitFor();
    await check(t, page, 'event');
    await page.goto(`${system.url}/event.html`);
    await page.locator('#event-empty').waitFor();
    await check(t, page, 'which event');
  });

  test(`notices and the dialog for a token are accessible, ${colorScheme}`, async (t) => {
    const page = await browser.open(t, system.url, {
      colorScheme,
      reducedMotion: 'reduce',
      config: { tokenUrl: undefined },
    });
    await page.getByRole('dialog').waitFor();
    await check(t, page, 'token');
    await page.keyboard.press('Escape');
    await check(t, page, 'without a token');
    const refused = await browser.open(t, system.url, {
      colorScheme,
      reducedMotion: 'reduce',
      before: (opened) =>
        opened.route('**/_local/token', (route) => route.fulfill({ json: { token: 'eyJ.eyJ.nothing' } })),
    });
    await hasStatus(refused, 'unauthorized');
    await refused.locator('.notice[data-kind="error"]').waitFor();
    await check(t, refused, 'refused');
  });

  test(`a phone’s page is accessible, ${colorScheme}`, async (t) => {
    for (const path of ['/', '/event.html?event=evt_1']) {
      const page = await browser.open(t, system.url + path, {
        colorScheme,
        reducedMotion: 'reduce',
        viewport: { width: 390, height: 844 },
      });
      await hasStatus(page, 'live');
      await page.locator('.campaign:not(.skeleton), #checkins li').first().waitFor();
      await check(t, page, `phone ${path}`);
    }
  });
}
