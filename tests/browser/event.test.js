import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { Browser, hasStatus, shows, total } from './browser.js';
import { System, TENANT } from './system.js';

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start(), Browser.start()]);
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

const happens = (eventId, ...types) =>
  system.send(
    'platform.analytics.events.v1',
    eventId,
    ...types.map((type) => ({ type, eventId, organizationId: TENANT })),
  );
const arrives = (eventId, id, name) =>
  system.send('platform.analytics.check-in.v1', eventId, {
    type: 'CHECK_IN_PROCESSED',
    eventId,
    organizationId: TENANT,
    checkInData: { id, name },
  });

test('without an event the page asks for one, and goes to it', async (t) => {
  await happens('evt_a', 'MESSAGE_SENT');
  const page = await browser.open(t, `${system.url}/`);
  await page.getByRole('link', { name: 'Live event' }).click();
  await shows(page.locator('#event-empty'), /Which event\?/);
  await page.getByLabel('Event', { exact: true }).fill('evt_a');
  await page.getByRole('button', { name: 'Watch' }).click();
  await page.waitForURL('**/event.html?event=evt_a');
  await shows(total(page, 'totalMessages'), '1');
  await page.getByRole('link', { name: 'Campaigns' }).click();
  await page.locator('#campaigns').waitFor();
});

test('what the audience does appears, and moves', async (t) => {
  const page = await browser.open(t, `${system.url}/event.html?event=evt_1`);
  await hasStatus(page, 'live');
  await happens(
    'evt_1',
    'MESSAGE_SENT',
    'MESSAGE_SENT',
    'POLL_VOTE_CAST',
    'QUESTION_ASKED',
    'QUESTION_UPVOTED',
    'QUESTION_UPVOTED',
    'QUESTION_UPVOTED',
    'REACTION_SENT',
  );
  for (const [name, value] of [
    ['totalMessages', 2],
    ['totalVotes', 1],
    ['totalQuestions', 1],
    ['totalUpvotes', 3],
    ['totalReactions', 1],
  ]) {
    await shows(total(page, name), String(value));
  }
  await shows(page.locator('#shares tbody tr').nth(3), /Upvotes337\.5 %/);
  await shows(page.locator('#checkins-empty'), /Nobody has checked in/);
  await happens('evt_1', 'MESSAGE_SENT');
  await shows(total(page, 'totalMessages'), '3');
});

test('check-ins are listed, the newest first', async (t) => {
  const page = await browser.open(t, `${system.url}/event.html?event=evt_2`);
  await arrives('evt_2', 'user_1', 'Ada Lovelace');
  await shows(page.locator('#checkins li').first(), /A\S* L\S*/);
  await arrives('evt_2', 'user_2', 'Grace Hopper');
  await shows(page.locator('#checkins li').first(), /^GHG\S* H\S*/);
  assert.equal(await page.locator('#checkins li').count(), 2);
});

test('an event that nobody has heard of is waited for', async (t) => {
  const page = await browser.open(t, `${system.url}/event.html?event=evt_late`);
  await shows(page.locator('#event-empty'), /Nothing has been heard of this event yet.*Check the id.*wait/);
  await happens('evt_late', 'REACTION_SENT');
  await shows(total(page, 'totalReactions'), '1');
  assert.equal(await page.locator('#event-empty').isVisible(), false);
});

test('an event that the token does not open says so, and not that it is waited for', async (t) => {
  const token = await system.token('--channel', 'event:evt_other');
  const page = await browser.open(t, `${system.url}/event.html?event=evt_1`, {
    before: (opened) => opened.route('**/_local/token', (route) => route.fulfill({ json: { token } })),
  });
  await shows(page.locator('#event-empty'), /This token does not open this event/);
  await shows(page.locator('.notice'), /This token does not open the event evt_1.*Ask whoever gave it to you/);
});

test('what is no id is told so, and not asked for', async (t) => {
  const page = await browser.open(t, `${system.url}/event.html?event=%3Cimg%20src=x%3E`);
  await shows(page.locator('#event-empty'), /This is no event’s id/);
  assert.equal(await page.locator('main img').count(), 0);
});

test('the exported CSV has the totals and the check-ins', async (t) => {
  await arrives('evt_3', 'user_9', 'Alan Turing');
  const page = await browser.open(t, `${system.url}/event.html?event=evt_3`);
  await page.locator('#checkins li').waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export CSV' }).click(),
  ]);
  const csv = await readFile(await download.path(), 'utf8');
  assert.match(csv, /^\uFEFFkind,name,value\r\ntotal,Messages,0\r\n/);
  assert.match(csv, /check-in,A\S* T\S*,user_9\r\n$/);
});
