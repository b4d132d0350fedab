// A server, pages on a separate origin, and a Chromium that opens them. Assertions are about what is on the screen.

import assert from 'node:assert/strict';

import { mint, Server } from '../../js/server.mjs';
import { launch } from '../chromium.mjs';
import { servePages } from './pages.mjs';
import { Proxy } from './proxy.mjs';

/** Timeout of every wait, in milliseconds. */
export const DEADLINE = 20_000;

/**
 * A server with the accounts of `tests/js`, the pages, and a browser, until the end of the test.
 *
 * `proxy` puts a {@link Proxy} between the pages and the server; `sameOrigin` serves pages and server at one origin.
 *
 * `answersAfterMs` then delays each response, but no websocket.
 *
 * @param {import('node:test').TestContext} t
 * @param {{args?: string[], proxy?: boolean, sameOrigin?: boolean, answersAfterMs?: number}} options
 */
export async function site(t, { args = [], proxy = false, sameOrigin = false, answersAfterMs = 0 } = {}) {
  let server;
  let way;
  const pages = await servePages(t, sameOrigin ? { forward: () => (way ?? server).url, answersAfterMs } : {});
  server = await Server.start(t, { args: ['--client-url', pages, ...args] });
  if (proxy) way = await Proxy.open(t, server.url);
  const browser = await launch(t);
  return { server, pages, proxy: way, browser, url: sameOrigin ? pages : (way ?? server).url };
}

/** One of our pages, in a browser profile of its own. */
export class Screen {
  /** Texts of `alert` calls of the page. */
  alerts = [];
  /** Errors of the page that are not visible on it. */
  mishaps = [];

  /**
   * Opens `path` below `pages/`, with the server's address in the query: `?server=...`.
   *
   * `storage` is put into `localStorage` before the page runs; `beside` opens a second tab in the profile of another screen.
   *
   * @param {import('node:test').TestContext} t
   * @param {Awaited<ReturnType<typeof site>>} site
   * @param {string} path
   * @param {{storage?: Record<string, string>, viewport?: {width: number, height: number}, beside?: Screen, cookies?: object[]}} options
   */
  static async open(t, site, path, { storage = {}, viewport = { width: 1100, height: 700 }, beside, cookies, query = {} } = {}) {
    const screen = new Screen();
    const context = beside?.page.context() ?? (await site.browser.newContext({ viewport }));
    if (cookies) await context.addCookies(cookies);
    const page = (screen.page = await context.newPage());
    page.setDefaultTimeout(DEADLINE);
    page.on('pageerror', (error) => screen.mishaps.push(String(error)));
    page.on('dialog', (dialog) => {
      screen.alerts.push(dialog.message());
      dialog.accept().catch(() => {});
    });
    t.after(() => assert.deepEqual(screen.mishaps, []));
    await page.addInitScript((entries) => {
      for (const [key, value] of entries) localStorage.setItem(key, value);
    }, Object.entries(storage));
    const address = new URL(path, site.pages);
    for (const [name, value] of Object.entries({ server: site.url, ...query })) address.searchParams.set(name, value);
    await page.goto(address.href);
    return screen;
  }

  /** All texts that match a selector, in order. */
  texts(selector) {
    return this.page.locator(selector).allTextContents();
  }

  /** Waits until exactly these texts are on the screen, in this order. */
  async reads(selector, expected) {
    const until = Date.now() + DEADLINE;
    let texts;
    do {
      texts = await this.texts(selector);
      if (JSON.stringify(texts) === JSON.stringify(expected)) return;
      await this.page.waitForTimeout(20);
    } while (Date.now() < until);
    assert.deepEqual(texts, expected);
  }

  /** Waits until a text is on the screen at least once. */
  sees(selector, text) {
    return this.page.locator(selector, { hasText: text }).first().waitFor();
  }

  /** Clicks with the mouse. */
  click(selector, options) {
    return this.page.locator(selector, options).first().click();
  }

  /** Types into an input key by key, as a person does, and presses Enter. */
  async write(selector, text) {
    await this.page.locator(selector).pressSequentially(text);
    await this.page.locator(selector).press('Enter');
  }

  /** The same on a page that ignores Enter while it is busy and clears the input after sending: presses Enter until the input is empty. */
  async submit(selector, text) {
    const input = this.page.locator(selector);
    await input.pressSequentially(text);
    const until = Date.now() + DEADLINE;
    while ((await input.inputValue()) && Date.now() < until) {
      await input.press('Enter');
      await this.page.waitForTimeout(50);
    }
    assert.equal(await input.inputValue(), '', `${text} was not sent`);
  }
}

/** The content of `localStorage` on the replaced dashboard for a signed-in person. */
export function signedIn(account, options) {
  return { token: mint(account, options), role: account.role, userName: account.name };
}
