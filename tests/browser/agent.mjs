// An agent who uses the console.

import assert from 'node:assert/strict';

import { PASSWORD, Server } from '../js/server.mjs';
import { launch } from './chromium.mjs';

/** Timeout of every wait, in milliseconds. */
export const DEADLINE = 20_000;

export class Agent {
  /** Errors of the page that are not visible on it. */
  mishaps = [];

  /** Opens the console, in a browser profile of its own. */
  static async open(t, browser, server, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1100, height: 700 }, ...options });
    const agent = new Agent();
    const page = (agent.page = await context.newPage());
    agent.address = `${server.url}/console/`;
    page.setDefaultTimeout(DEADLINE);
    page.on('pageerror', (error) => agent.mishaps.push(String(error)));
    page.on('dialog', (dialog) => agent.mishaps.push(`a dialog: ${dialog.message()}`));
    // Errors on the page's console fail the test, except those of connections to a server that is being restarted, and of polling
    // sessions from before the restart.
    page.on('console', (line) => {
      const isLost = /net::ERR_|WebSocket connection|status of 40[13]/.test(line.text());
      const isPoll = line.location().url.includes('/socket.io/') && /status of 400/.test(line.text());
      if (line.type() === 'error' && !isLost && !isPoll) agent.mishaps.push(line.text());
    });
    t.after(() => assert.deepEqual(agent.mishaps, []));
    await page.goto(agent.address);
    return agent;
  }

  /** Logs in, and waits for the list. */
  static async logIn(t, browser, server, account = server.admin, options = {}) {
    const agent = await Agent.open(t, browser, server, options);
    await agent.enter(account);
    await agent.see('#desk');
    await agent.connected();
    return agent;
  }

  async enter({ email }, password = PASSWORD) {
    await this.page.getByLabel('E-mail').fill(email);
    await this.page.getByLabel('Password').fill(password);
    await this.page.getByRole('button', { name: 'Log in' }).click();
  }

  see(what) {
    return this.page.locator(what).first().waitFor();
  }

  /** Waits until the page is connected, which it shows by hiding its notice. */
  connected() {
    return this.page.locator('#connection').waitFor({ state: 'hidden' });
  }

  row({ name }) {
    return this.page.locator('#conversations li', { hasText: name });
  }

  async openConversation(person) {
    await this.row(person).locator('a').click();
    await this.page.locator('#thread').waitFor();
    await this.page.locator('#log[aria-busy=false]').waitFor();
  }

  async write(text) {
    await this.page.getByLabel('Your reply').fill(text);
    await this.page.getByRole('button', { name: 'Send' }).click();
  }

  message(text) {
    return this.page.locator('.message', { has: this.page.locator('.text', { hasText: text }) });
  }

  /** Waits until a message has this status. */
  status(text, status) {
    return this.message(text).locator(`.tick[data-status="${status}"]`).waitFor();
  }

  /** Chooses an entry from the menu of the agent's own message. */
  async choose(text, action) {
    await this.message(text).hover();
    await this.message(text).getByLabel('Message actions').click();
    await this.message(text).getByRole('button', { name: action }).click();
  }

  /** All visible texts, in order. */
  texts() {
    return this.page.locator('.message .text').allTextContents();
  }

  /** Waits until exactly these texts are visible. */
  async reads(expected) {
    const until = Date.now() + DEADLINE;
    let texts;
    do {
      texts = await this.texts();
      if (JSON.stringify(texts) === JSON.stringify(expected)) return;
      await this.page.waitForTimeout(50);
    } while (Date.now() < until);
    assert.deepEqual(texts, expected);
  }
}

/** A server and a browser. */
export async function site(t) {
  const server = await Server.start(t);
  return { server, browser: await launch(t) };
}

/** Sends a customer's message to the desk, and returns its acknowledgement. */
export async function send(client, server, message) {
  const answer = await client.ask('send-message', { receiverId: server.admin.id, message });
  assert.equal(answer.ok, true, JSON.stringify(answer));
  return answer;
}
