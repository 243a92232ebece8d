// Takes the pictures that the README shows: UPDATE_SCREENSHOTS=1 tests/browser/run screenshots.js
import assert from 'node:assert/strict';
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Browser, hasStatus } from './browser.js';
import { System } from './system.js';

const folder = path.resolve(import.meta.dirname, '../../docs/images');

/** Until the lines have something to tell, in milliseconds. */
const STORY = 150_000;

const BYTES = 300_000;

const PICTURES = [
  ['dashboard-light.png', { viewport: { width: 1280, height: 1250 }, colorScheme: 'light' }],
  ['dashboard-dark.png', { viewport: { width: 1280, height: 1250 }, colorScheme: 'dark' }],
  ['dashboard-phone.png', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 1.5, colorScheme: 'light' }],
];

test('pictures are taken', async (t) => {
  const [system, browser] = await Promise.all([System.start(), Browser.start()]);
  try {
    system.simulate('--campaigns', '6', '--rate', '12', '--events', '1');
    await pause(20_000);
    const pages = await Promise.all(PICTURES.map(([, options]) => browser.open(t, system.url, options)));
    await pause(STORY);
    await mkdir(folder, { recursive: true });
    for (const [place, page] of pages.entries()) {
      const file = path.join(folder, PICTURES[place][0]);
      await page.bringToFront();
      await hasStatus(page, 'live');
      await pause(2_000);
      await page.screenshot({ path: file });
      const { size } = await stat(file);
      t.diagnostic(`${PICTURES[place][0]}: ${Math.round(size / 1000)} KB`);
      assert.ok(size < BYTES);
      // Closed here, for the browser is gone when the test's own end comes.
      await page.context().close();
    }
  } finally {
    await browser.stop();
    await system.stop();
  }
});
