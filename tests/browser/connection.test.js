import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Browser, figure, hasStatus, shows } from './browser.js';
import { Proxy } from './proxy.js';
import { System } from './system.js';
import { until } from './until.js';

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start(), Browser.start()]);
  await system.calls(
    'c-1',
    { eventType: 'campaign_status_changed', status: 'active', name: 'Spring appeal' },
    'call_initiated',
  );
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

/** A page that reaches the system through a proxy. */
async function through(t, options) {
  const proxy = await Proxy.to(system.port);
  t.after(() => proxy.close());
  const page = await browser.open(t, system.url, { through: proxy, ...options });
  return { proxy, page };
}

const notice = (page, title) => page.locator('.notice', { hasText: title });
const attempts = (page) => figure(page, 'c-1', 'totalAttempts').textContent();

/** Counts another call, and waits until the page shows it. */
async function moves(page) {
  const next = Number(await attempts(page)) + 1;
  await system.calls('c-1', 'call_initiated');
  await shows(figure(page, 'c-1', 'totalAttempts'), String(next));
}

test('a connection that is cut is restored, and what happened meanwhile is shown', async (t) => {
  const { proxy, page } = await through(t);
  await hasStatus(page, 'live');
  await moves(page);
  const before = Number(await attempts(page));
  await proxy.refuse();
  await page.locator('#status:not([data-status="live"])').waitFor();
  await system.calls('c-1', 'call_initiated', 'call_initiated');
  // The numbers are still there.
  assert.equal(Number(await attempts(page)), before);
  await proxy.permit();
  await hasStatus(page, 'live');
  await shows(figure(page, 'c-1', 'totalAttempts'), String(before + 2));
  await until('the notice is gone', async () => (await page.locator('.notice').count()) === 0);
  await moves(page);
});

test('a system that stays away is told of, with what to do, and found again', async (t) => {
  const { proxy, page } = await through(t);
  await hasStatus(page, 'live');
  await proxy.refuse();
  await hasStatus(page, 'offline');
  await shows(notice(page, 'cannot be reached').locator('p'), /last that came\. Check your network/);
  await shows(page.locator('#updated'), /updated .* ago|updated just now/);
  await proxy.permit();
  await page.getByRole('button', { name: 'Try now' }).click();
  await hasStatus(page, 'live');
  await notice(page, 'cannot be reached').waitFor({ state: 'detached' });
});

test('a device without a network is told that it is', async (t) => {
  const { proxy, page } = await through(t);
  await hasStatus(page, 'live');
  await page.context().setOffline(true);
  await proxy.cut();
  await hasStatus(page, 'offline');
  await shows(notice(page, 'This device is offline').locator('p'), /Check its network connection/);
  await page.context().setOffline(false);
  await hasStatus(page, 'live');
});

test('polling takes over where no socket can be had, and gives back', async (t) => {
  const { proxy, page } = await through(t);
  await hasStatus(page, 'live');
  proxy.refusesSockets = true;
  proxy.cut();
  await hasStatus(page, 'polling');
  await shows(notice(page, 'every two seconds').locator('p'), /proxy or firewall/);
  await moves(page);
  await moves(page);
  proxy.refusesSockets = false;
  await hasStatus(page, 'live');
  await notice(page, 'every two seconds').waitFor({ state: 'detached' });
  await moves(page);
});

test('a wrong token is refused with what to do, and another is taken', async (t) => {
  const good = await system.token();
  const page = await browser.open(t, system.url, {
    before: (opened) =>
      opened.route('**/_local/token', (route) =>
        route.fulfill({ json: { token: `${good.slice(0, -4)}AAAA`, expiresAt: null } }),
      ),
  });
  await hasStatus(page, 'unauthorized');
  await shows(notice(page, 'The token was refused').locator('p'), /Get a new one.*cargo dev token.*enter it here/);
  await page.getByRole('button', { name: 'Enter a token' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Token').fill('nonsense');
  await dialog.getByRole('button', { name: 'Connect' }).click();
  await shows(dialog.getByRole('alert'), /This is no token/);
  await dialog.getByLabel('Token').fill(`Bearer ${good}`);
  await dialog.getByRole('button', { name: 'Connect' }).click();
  await hasStatus(page, 'live');
  await notice(page, 'The token was refused').waitFor({ state: 'detached' });
});

test('without a place for tokens the viewer is asked for one, and only the tab keeps it', async (t) => {
  const page = await browser.open(t, system.url, { config: { tokenUrl: undefined } });
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await notice(page, 'A token is needed').getByRole('button').click();
  const token = await system.token();
  await dialog.getByLabel('Token').fill(token);
  await dialog.getByRole('button', { name: 'Connect' }).click();
  await hasStatus(page, 'live');
  const kept = await page.evaluate(() => [
    JSON.stringify({ ...sessionStorage }),
    JSON.stringify({ ...localStorage }) + document.cookie + location.href,
  ]);
  assert.ok(kept[0].includes(token));
  assert.ok(!kept[1].includes(token));
  await page.reload();
  await hasStatus(page, 'live');
});

test('a page without its configuration says how to get it, and goes on when it is there', async (t) => {
  let isThere = false;
  const page = await browser.open(t, system.url, {
    before: async (opened) => {
      await opened.route('**/config.json', (route) => (isThere ? route.continue() : route.fulfill({ status: 404 })));
    },
  });
  await shows(
    notice(page, 'does not know where Livefold is').locator('p'),
    /config\.json answers 404.*cargo dev.*outputs/,
  );
  isThere = true;
  await hasStatus(page, 'live');
  await notice(page, 'does not know where Livefold is').waitFor({ state: 'detached' });
});

test('a token that ends is renewed without anybody seeing it', async (t) => {
  let asked = 0;
  const page = await browser.open(t, system.url, {
    before: (opened) =>
      opened.route('**/_local/token', async (route) => {
        asked += 1;
        await route.fulfill({ json: { token: await system.token('--ttl', '6s') } });
      }),
  });
  await hasStatus(page, 'live');
  const first = asked;
  await until('two more tokens were asked for', async () => asked >= first + 2);
  await moves(page);
  await hasStatus(page, 'live');
  assert.equal(await page.locator('.notice').count(), 0);
});

test('what is shown is never called newer than it is', async (t) => {
  const { proxy, page } = await through(t);
  await hasStatus(page, 'live');
  await page.getByLabel('Updates').selectOption('2');
  await shows(page.locator('#updated'), /updated/);
  await proxy.refuse();
  await hasStatus(page, 'offline');
  // The page draws every two seconds all the same.
  await shows(page.locator('#updated'), /updated ([4-9]|\d\d) s ago/);
});

test('a page that was refused at first learns that there is nothing to see', async (t) => {
  const empty = await system.token('--tenant', 'nobody');
  const page = await browser.open(t, system.url, {
    before: (opened) =>
      opened.route('**/_local/token', (route) => route.fulfill({ json: { token: 'eyJ.eyJ.nothing' } })),
  });
  await hasStatus(page, 'unauthorized');
  await page.getByRole('button', { name: 'Enter a token' }).click();
  await page.getByRole('dialog').getByLabel('Token').fill(empty);
  await page.getByRole('dialog').getByRole('button', { name: 'Connect' }).click();
  await shows(page.locator('#campaigns-empty'), /No campaign is active/);
});
