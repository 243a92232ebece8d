import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { PATIENCE } from './until.js';

/** A browser, and pages in it that must not complain. */
export class Browser {
  #browser;

  static async start() {
    const browser = new Browser();
    // Chromium's own sandbox wants privileges that containers lack. It sees nothing but our own pages.
    browser.#browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox'],
    });
    return browser;
  }

  async stop() {
    await this.#browser.close();
  }

  /**
   * Opens a page in a profile of its own. It is closed after the test, which fails if a script did.
   * @param {import('node:test').TestContext} test
   * @param {string} url
   * @param {object} [options] of Playwright's contexts; `through` is a proxy to the APIs, `config` replaces what config.json
   *   says, `before` prepares the page
   */
  async open(test, url, { through, config, before, ...options } = {}) {
    const context = await this.#browser.newContext({
      viewport: { width: 1440, height: 900 },
      locale: 'en-GB',
      colorScheme: 'light',
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(error.stack ?? String(error)));
    page.on('console', (message) => {
      if (/Content Security Policy|violates|was preloaded/.test(message.text())) complaints.push(message.text());
    });
    test.after(async () => {
      await context.close();
      assert.deepEqual(complaints, []);
    });
    // Only the APIs go through the proxy. The page itself is where it always is, for to others the APIs do not talk.
    const apis = through && { url: `ws://${through.address}/ws`, rest: `http://${through.address}/api` };
    if (apis || config) {
      await page.route('**/config.json', async (route) => {
        const told = await (await route.fetch()).json();
        await route.fulfill({ json: { ...told, ...apis, ...config } });
      });
    }
    await before?.(page);
    await page.goto(url);
    return page;
  }
}

/** Waits for the status pill. */
export async function hasStatus(page, status) {
  await page.locator(`#status[data-status="${status}"]`).waitFor();
}

/** What a locator shows, once it shows this. */
export async function shows(locator, text) {
  const wanted = text instanceof RegExp ? text : new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\s*$`);
  await locator.filter({ hasText: wanted }).first().waitFor();
}

/** The card of a campaign. */
export const card = (page, campaignId) => page.locator(`.campaign[data-campaign="${campaignId}"]`);

/** A number on the card of a campaign. */
export const figure = (page, campaignId, metric) => card(page, campaignId).locator(`[data-is="${metric}"]`);

/** A big number. */
export const total = (page, metric) => page.locator(`.card[data-metric="${metric}"] .number`);
