// The console in a real Chromium: access, rendering, and use by keyboard and on a phone.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Agent, send, site } from './agent.mjs';
import { skip } from './chromium.mjs';

test('only agents can log in, and stay logged in until they log out', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const agent = await Agent.open(t, browser, server);
  const { page } = agent;
  await agent.enter(server.ann);
  await page.getByText('This console is for agents').waitFor();
  await agent.enter(server.admin, 'wrong');
  await page.getByText('Invalid email or password').waitFor();
  await agent.enter(server.admin);
  await page.getByText('No conversations yet').waitFor();
  await page.reload();
  await page.getByText('No conversations yet').waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.reload();
  await page.getByRole('button', { name: 'Log in' }).waitFor();

  // An agent whose rights end is logged out, with the reason.
  await agent.enter(server.second);
  await page.getByText('No conversations yet').waitFor();
  await server.user(['block', server.second.email]);
  await page.getByText('You were logged out').waitFor();
});

test('messages are shown as text, whatever they contain', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const ann = await server.signIn(server.ann);
  const nasty = '<img src=x onerror=alert(1)><script>alert(2)</script> https://a.test/?q="x" javascript:alert(3)';
  await send(ann, server, nasty);
  const agent = await Agent.logIn(t, browser, server);
  await agent.openConversation(server.ann);
  await agent.reads([nasty]);
  assert.equal(await agent.page.locator('#thread img, #thread script, #conversations img').count(), 0);
  const links = await agent.page.locator('.text a').evaluateAll((all) => all.map((link) => [link.href, link.rel]));
  assert.deepEqual(links, [['https://a.test/?q=', 'noopener noreferrer']]);
  assert.equal(await agent.row(server.ann).locator('.last').textContent(), nasty);
  await agent.write(nasty);
  await agent.reads([nasty, nasty]);
});

test('long conversations can be read page by page without losing the position', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const ann = await server.signIn(server.ann);
  const all = Array.from({ length: 120 }, (_, index) => `message ${index + 1}.`);
  await Promise.all(all.map((text) => send(ann, server, text)));
  const agent = await Agent.logIn(t, browser, server);
  await agent.openConversation(server.ann);
  await agent.reads(all.slice(70));
  assert.ok(await agent.message('message 120.').isVisible());
  await agent.page.locator('#log').evaluate((log) => log.scrollTo(0, 0));
  const place = () => agent.message('message 71.').boundingBox().then(({ y }) => Math.round(y));
  await agent.page.getByRole('button', { name: 'Earlier messages' }).click();
  await agent.reads(all.slice(20));
  assert.ok((await place()) > 0 && (await place()) < 700, `message 71 is still before one's eyes, at ${await place()}`);

  // New messages do not scroll the page but are announced, and count as read only when they are visible.
  await send(ann, server, 'new');
  const toEnd = agent.page.getByRole('button', { name: 'New messages' });
  await toEnd.waitFor();
  await agent.row(server.ann).getByLabel('1 unread').waitFor();
  await toEnd.click();
  await agent.row(server.ann).locator('.badge').waitFor({ state: 'hidden' });
  await agent.page.locator('#log').evaluate((log) => log.scrollTo(0, 0));
  await agent.page.getByRole('button', { name: 'Earlier messages' }).click();
  await agent.reads([...all, 'new']);
  await agent.page.getByRole('button', { name: 'Earlier messages' }).waitFor({ state: 'hidden' });
});

test('a message that is refused is not lost', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const ann = await server.signIn(server.ann);
  await send(ann, server, 'hello');
  const agent = await Agent.logIn(t, browser, server);
  await agent.openConversation(server.ann);
  const long = 'too long '.repeat(120_000);
  await agent.write(long);
  await agent.page.getByText('Not sent:').waitFor();
  await agent.page.locator('.problem').getByRole('button', { name: 'Edit' }).click();
  assert.equal(await agent.page.getByLabel('Your reply').inputValue(), long.trim());
  await agent.write('short');
  await agent.reads(['hello', 'short']);
});

test('on a phone, list and conversation are separate screens, and everything can be reached with the keyboard', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const ann = await server.signIn(server.ann);
  await send(ann, server, 'a word that is far too long for a narrow screen: ' + 'x'.repeat(200));
  const agent = await Agent.logIn(t, browser, server, server.admin, { viewport: { width: 360, height: 640 } });
  const { page } = agent;
  const isFitting = () => page.evaluate(() => document.documentElement.scrollWidth <= 360);
  await agent.row(server.ann).waitFor();
  assert.ok(await isFitting());
  assert.equal(await page.locator('main').last().isVisible(), false);
  await page.getByRole('button', { name: 'Log out' }).focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByLabel('Your reply').waitFor();
  assert.equal(await page.locator('nav').isVisible(), false);
  assert.ok(await isFitting());
  await page.getByLabel('Your reply').focus();
  await page.keyboard.type('by keyboard');
  await page.keyboard.press('Enter');
  await agent.status('by keyboard', 'sent');
  for (let presses = 0; presses < 10 && !(await page.locator('summary:focus').count()); presses++) {
    await page.keyboard.press('Shift+Tab');
  }
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Delete', exact: true }).first().waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Delete', exact: true }).first().waitFor({ state: 'hidden' });
  await page.getByLabel('Back to the list').click();
  await agent.row(server.ann).waitFor();
});
