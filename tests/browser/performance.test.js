import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Browser, figure, hasStatus, shows } from './browser.js';
import { System, TENANT } from './system.js';

const CAMPAIGNS = 50;

/** Changes of each campaign per second. */
const RATE = 4;

/** Seconds over which frames are counted. */
const FRAMES_FOR = 10;

/** Seconds before, in which the load begins. */
const SETTLE = 2;

/** Seconds over which memory is watched. */
const MEMORY_FOR = Number(process.env.MEMORY_SECONDS ?? 40);

/** Seconds before: code is compiled, caches are filled. */
const WARM_UP = 10;

/** What a page may keep of a run, in megabytes: its history, a sample a second, is a fraction of this. */
const MEGABYTES = 4;

let system;
let browser;

before(async () => {
  // Each campaign is told of four times a second, not once.
  [system, browser] = await Promise.all([
    System.start(['--env', `OVERVIEW_INTERVAL_MS=${1000 / RATE}`]),
    Browser.start(),
  ]);
  await Promise.all(
    ids().map((id, place) =>
      system.calls(
        id,
        { eventType: 'campaign_status_changed', status: 'active', name: `Campaign ${place}` },
        'call_initiated',
      ),
    ),
  );
});

after(async () => {
  await browser?.stop();
  await system?.stop();
});

const ids = () => Array.from({ length: CAMPAIGNS }, (_, place) => `c-${place}`);

/** Lets every campaign change, again and again, until it is stopped; gives how often each did. */
function churn() {
  let isOver = false;
  let rounds = 0;
  const running = (async () => {
    const begun = Date.now();
    while (!isOver) {
      // Each round changes every campaign; what happens differs, so that all numbers move.
      const events = [
        { eventType: 'call_initiated' },
        { eventType: 'call_answered' },
        { eventType: 'call_ended', outcome: 'converted' },
        { eventType: 'call_queued' },
      ];
      const event = { ...events[rounds % events.length], callId: 'k', tenantId: TENANT };
      await system.sendAll(
        'campaign.events.v1',
        ids().map((campaignId) => [campaignId, { ...event, campaignId }]),
      );
      rounds += 1;
      await pause(Math.max(0, begun + (1000 * rounds) / RATE - Date.now()));
    }
    return rounds;
  })();
  return () => {
    isOver = true;
    return running;
  };
}

test('the first number is there soon', async (t) => {
  const times = [];
  for (let run = 0; run < 5; run += 1) {
    const page = await browser.open(t, 'about:blank', {
      before: async (opened) => {
        await opened.addInitScript(() => {
          const look = () => {
            const text = document.querySelector('.card[data-metric="totalAttempts"] .number')?.firstChild?.data;
            if (text > '0') globalThis.firstNumber = performance.now();
            else requestAnimationFrame(look);
          };
          look();
        });
      },
    });
    await page.goto(system.url);
    await page.waitForFunction(() => globalThis.firstNumber);
    times.push(Math.round(await page.evaluate(() => globalThis.firstNumber)));
    await page.close();
  }
  t.diagnostic(`first number after ${times.join(', ')} ms (the first with a cold cache)`);
});

/** Counts frames, and changes of the cards' texts, for a while. */
async function countFrames(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable');
  const spent = async () =>
    Object.fromEntries((await devtools.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  const before = await spent();
  const { frames, changes } = await page.evaluate(
    (milliseconds) =>
      new Promise((resolve) => {
        const frames = [];
        let changes = 0;
        new MutationObserver((list) => {
          changes += list.length;
        }).observe(document.getElementById('campaigns'), { subtree: true, characterData: true });
        const begun = performance.now();
        let last = begun;
        requestAnimationFrame(function count(now) {
          frames.push(now - last);
          last = now;
          if (now - begun < milliseconds) requestAnimationFrame(count);
          else resolve({ frames: frames.slice(1), changes });
        });
      }),
    FRAMES_FOR * 1000,
  );
  const after = await spent();
  const busy = (name) => `${Math.round((100 * (after[name] - before[name])) / FRAMES_FOR)} %`;
  const sorted = frames.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(1);
  const perSecond = (1000 * frames.length) / frames.reduce((sum, frame) => sum + frame, 0);
  return (
    `${perSecond.toFixed(1)} frames per second; a frame took ${at(0.5)} ms (median), ${at(0.95)} ms (95 %), ${at(0.99)} ms (99 %), ` +
    `${at(1)} ms (longest); ${Math.round(changes / FRAMES_FOR)} texts of cards changed per second; ` +
    `the main thread was busy for ${busy('TaskDuration')} of the time (scripts ${busy('ScriptDuration')}, style ${busy('RecalcStyleDuration')}, layout ${busy('LayoutDuration')})`
  );
}

test(`${CAMPAIGNS} campaigns that change ${RATE} times a second are shown to the last record`, async (t) => {
  let views = 0;
  const page = await browser.open(t, system.url, {
    before: (opened) =>
      opened.on('websocket', (socket) =>
        socket.on('framereceived', ({ payload }) => {
          views += String(payload).split('"metrics_update"').length - 1;
        }),
      ),
  });
  await hasStatus(page, 'live');
  await shows(page.locator('#campaign-count'), String(CAMPAIGNS));
  const stop = churn();
  await pause(SETTLE * 1000);
  views = 0;
  const told = await countFrames(page);
  t.diagnostic(`${told}; ${Math.round(views / FRAMES_FOR)} views came per second`);
  const rounds = await stop();
  const attempts = 1 + Math.ceil(rounds / 4);
  await shows(figure(page, 'c-49', 'totalAttempts'), String(attempts));
  await shows(
    page.locator('.card[data-metric="totalAttempts"] .number'),
    (CAMPAIGNS * attempts).toLocaleString('en-GB'),
  );
});

// A system that shares a small machine with a browser and a compiler may not tell as much as it could. So that frames
// are measured under the whole load, the socket says here what the system would say.
test(`with ${CAMPAIGNS * RATE} views a second from the socket the page draws on`, async (t) => {
  const sockets = [];
  const page = await browser.open(t, system.url, {
    before: (opened) =>
      opened.routeWebSocket(/\/ws/, (socket) => {
        socket.connectToServer();
        sockets.push(socket);
      }),
  });
  await hasStatus(page, 'live');
  await shows(page.locator('#campaign-count'), String(CAMPAIGNS));
  let sent = 0;
  const begun = Date.now();
  const perSecond = CAMPAIGNS * RATE;
  const timer = setInterval(() => {
    // No more than is measured: what a slow machine does not take in would pile up for ever.
    const due = Math.min(((Date.now() - begun) * perSecond) / 1000, perSecond * (SETTLE + FRAMES_FOR) * 1.5);
    while (sent < due) sockets.at(-1).send(JSON.stringify(view(sent++)));
  }, 10);
  await pause(SETTLE * 1000);
  const told = await countFrames(page);
  clearInterval(timer);
  t.diagnostic(`${told}; ${Math.round((1000 * sent) / (Date.now() - begun))} views came per second`);
  await shows(figure(page, 'c-0', 'totalAttempts'), (1000 + Math.ceil(sent / CAMPAIGNS) - 1).toLocaleString('en-GB'));
});

/** The nth view, of one campaign after another; all of its numbers are others than those of the one before. */
function view(n) {
  const campaignId = `c-${n % CAMPAIGNS}`;
  const round = Math.floor(n / CAMPAIGNS);
  const totalAttempts = 1000 + round;
  const [answered, busy, failed] = [400 + (round % 90), 150 + (round % 70), 200 + (round % 110)];
  const [converted, optOuts] = [60 + (round % 40), 5 + (round % 20)];
  const timestamp = new Date().toISOString();
  const data = {
    campaignId,
    campaignName: `Campaign ${n % CAMPAIGNS}`,
    status: 'active',
    activeCalls: 20 + (round % 30),
    queueDepth: 200 + (round % 50),
    dialingRate: 2 + (round % 20) / 10,
    totalAttempts,
    answered,
    busy,
    failed,
    converted,
    optOuts,
    answerRate: (100 * answered) / totalAttempts,
    conversionRate: (100 * converted) / answered,
    optOutRate: (100 * optOuts) / totalAttempts,
    averageCallDuration: 30 + (round % 9),
    totalCost: round / 10,
    updatedAt: timestamp,
  };
  return { type: 'metrics_update', channel: `campaign:${campaignId}`, data, timestamp, cursor: `${10 ** 12 + n}.x` };
}

test('memory stays as it is', async (t) => {
  const page = await browser.open(t, system.url);
  const devtools = await page.context().newCDPSession(page);
  const measure = async () => {
    await devtools.send('HeapProfiler.collectGarbage');
    const { usedSize } = await devtools.send('Runtime.getHeapUsage');
    const { nodes, jsEventListeners } = await devtools.send('Memory.getDOMCounters');
    return { megabytes: usedSize / 2 ** 20, nodes, listeners: jsEventListeners };
  };
  await hasStatus(page, 'live');
  await page.locator('.campaign:not(.skeleton) button').first().click();
  const stop = churn();
  await pause(WARM_UP * 1000);
  const first = await measure();
  await pause(MEMORY_FOR * 1000);
  const last = await measure();
  await stop();
  const tell = ({ megabytes, nodes, listeners }) =>
    `${megabytes.toFixed(2)} MB, ${nodes} nodes, ${listeners} listeners`;
  t.diagnostic(`after ${WARM_UP} s: ${tell(first)}; after ${MEMORY_FOR} s more: ${tell(last)}`);
  assert.ok(
    last.megabytes - first.megabytes < MEGABYTES,
    `it grew by ${(last.megabytes - first.megabytes).toFixed(2)} MB`,
  );
  assert.equal(last.listeners, first.listeners);
  assert.ok(last.nodes < first.nodes * 1.2, `from ${first.nodes} to ${last.nodes} nodes`);
});
