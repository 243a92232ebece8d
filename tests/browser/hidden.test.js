import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Browser, figure, hasStatus, shows } from './browser.js';
import { System } from './system.js';

const CAMPAIGNS = 50;
const VIEWS_PER_SECOND = 200;

/** Seconds in which nobody looks. `.ci/run --all` waits for longer. */
const HIDDEN_FOR = Number(process.env.MEMORY_SECONDS ?? 20);

/** What a page may keep meanwhile, in megabytes: its history, a sample a second, is a fraction of this. */
const MEGABYTES = 4;

let system;
let browser;

before(async () => {
  [system, browser] = await Promise.all([System.start(), Browser.start()]);
  const named = (place) => ({ eventType: 'campaign_status_changed', status: 'active', name: `Campaign ${place}` });
  await Promise.all(Array.from({ length: CAMPAIGNS }, (_, place) => system.calls(`c-${place}`, named(place))));
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

/**
 * A headless browser shows every page. So the page is told that it is hidden, and gets no frames meanwhile, as a hidden tab
 * gets none.
 */
function becomeHideable() {
  const nativeFrame = globalThis.requestAnimationFrame.bind(globalThis);
  let isHidden = false;
  const waiting = [];
  globalThis.requestAnimationFrame = (callback) => (isHidden ? waiting.push(callback) : nativeFrame(callback));
  Object.defineProperty(document, 'visibilityState', { get: () => (isHidden ? 'hidden' : 'visible') });
  Object.defineProperty(document, 'hidden', { get: () => isHidden });
  globalThis.setHidden = (hidden) => {
    isHidden = hidden;
    document.dispatchEvent(new Event('visibilitychange'));
    if (!hidden) for (const callback of waiting.splice(0)) nativeFrame(callback);
  };
}

/** The nth view, of one campaign after another. */
function view(n) {
  const campaignId = `c-${n % CAMPAIGNS}`;
  const timestamp = new Date().toISOString();
  const counts = { totalAttempts: 1_000 + Math.floor(n / CAMPAIGNS), answered: 400, busy: 1, failed: 1, converted: 1, optOuts: 1 };
  const rates = { dialingRate: 1, answerRate: 40, conversionRate: 1, optOutRate: 1, averageCallDuration: 30, totalCost: 1 };
  const data = { campaignId, campaignName: `Campaign ${n % CAMPAIGNS}`, status: 'active', activeCalls: 2, queueDepth: 3, updatedAt: timestamp };
  return {
    type: 'metrics_update',
    channel: `campaign:${campaignId}`,
    data: { ...data, ...counts, ...rates },
    timestamp,
    cursor: `${10 ** 12 + n}.x`,
  };
}

test(`a hidden tab keeps nothing of ${VIEWS_PER_SECOND} views a second, and shows the newest as soon as it is shown`, async (t) => {
  const sockets = [];
  const page = await browser.open(t, system.url, {
    before: async (opened) => {
      await opened.addInitScript(becomeHideable);
      await opened.routeWebSocket(/\/ws/, (socket) => {
        socket.connectToServer();
        sockets.push(socket);
      });
    },
  });
  await hasStatus(page, 'live');
  await shows(page.locator('#campaign-count'), String(CAMPAIGNS));
  const devtools = await page.context().newCDPSession(page);
  const heap = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    return (await devtools.send('Runtime.getHeapUsage')).usedSize / 2 ** 20;
  };
  await page.evaluate(() => globalThis.setHidden(true));
  let sent = 0;
  const begun = Date.now();
  const timer = setInterval(() => {
    while (sent < ((Date.now() - begun) * VIEWS_PER_SECOND) / 1000) sockets.at(-1).send(JSON.stringify(view(sent++)));
  }, 10);
  await pause(5_000);
  const first = await heap();
  await pause(HIDDEN_FOR * 1000);
  const last = await heap();
  clearInterval(timer);
  assert.ok(last - first < MEGABYTES, `it grew by ${(last - first).toFixed(2)} MB`);

  const newest = (1_000 + Math.ceil(sent / CAMPAIGNS) - 1).toLocaleString('en-GB');
  const shownAt = Date.now();
  await page.evaluate(() => globalThis.setHidden(false));
  await shows(figure(page, 'c-0', 'totalAttempts'), newest);
  t.diagnostic(
    `${sent} views in ${HIDDEN_FOR + 5} s unseen: ${first.toFixed(2)} → ${last.toFixed(2)} MB; the newest was shown after ${Date.now() - shownAt} ms`,
  );
});
