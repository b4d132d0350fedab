// A page like the portal's, driven with a real mouse and keyboard.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Mailbox } from '../js/mailbox.mjs';
import { mint } from '../js/server.mjs';
import { skip } from './chromium.mjs';
import { Screen, site } from './support/harness.mjs';

const signedIn = (account) => ({ authToken: mint(account) });

const openCustomer = (t, place, account) => Screen.open(t, place, '/portal/', { storage: signedIn(account) });

const openAgent = (t, place, account, customer) =>
  Screen.open(t, place, `/portal/?room=${encodeURIComponent(customer.email)}`, { storage: signedIn(account) });

async function scene(t, options) {
  const place = await site(t, { proxy: true, ...options });
  const ann = await openCustomer(t, place, place.server.ann);
  await ann.sees('#connection', /^connected$/);
  await ann.write('#input', 'hello');
  await ann.reads('.message', ['hello']);
  const admin = await openAgent(t, { ...place, url: place.server.url }, place.server.admin, place.server.ann);
  await admin.sees('#partner', 'online');
  await admin.reads('.message', ['hello']);
  return { place, ann, admin };
}

test('a customer and an agent see each message once and in order', { skip }, async (t) => {
  const { ann, admin } = await scene(t);
  await admin.write('#input', 'good day');
  await ann.reads('.message', ['hello', 'good day']);
  await ann.write('#input', 'a question');
  await admin.reads('.message', ['hello', 'good day', 'a question']);
  assert.deepEqual(await ann.texts('.message.own'), ['hello', 'a question']);
  assert.deepEqual(await admin.texts('.message.own'), ['good day']);
});

test('messages sent while a page was disconnected are shown once, in order', { skip }, async (t) => {
  const { place, ann, admin } = await scene(t);
  place.proxy.refuse();
  place.proxy.all('reset');
  await ann.sees('#connection', 'disconnected');
  await admin.write('#input', 'meanwhile');
  await admin.reads('.message', ['hello', 'meanwhile']);
  place.proxy.accept();
  await ann.reads('.message', ['hello', 'meanwhile']);
  await admin.write('#input', 'afterwards');
  await ann.reads('.message', ['hello', 'meanwhile', 'afterwards']);
});

test('after the server was killed both pages reconnect, and show who is offline', { skip }, async (t) => {
  const { place, ann, admin } = await scene(t);
  await place.server.kill();
  await admin.sees('#connection', 'disconnected');
  await ann.page.close();
  await place.server.restart();
  await admin.sees('#connection', /^connected$/);
  await admin.sees('#partner', 'offline');
  await admin.reads('.message', ['hello']);
});

test('a page without a room is refused, and does not retry', { skip }, async (t) => {
  const place = await site(t);
  const admin = await Screen.open(t, place, '/portal/?room=nobody', { storage: signedIn(place.server.admin) });
  await admin.sees('#closed', '2');
  assert.deepEqual(await admin.texts('#opened'), ['0'], 'it was never accepted');
});

test('a forgotten password is reset with the mailed digits', { skip }, async (t) => {
  const mailbox = await Mailbox.open(t);
  const place = await site(t, { args: ['--smtp-url', mailbox.url] });
  const page = await Screen.open(t, place, '/portal/');
  await page.page.locator('#email').fill('ann@x.test');
  await page.click('#send-code');
  await page.sees('#note', 'a code to choose a new password was sent');
  const code = await mailbox.find('ann@x.test', /choose a new password: (\d+)/);
  await page.page.locator('#code').pressSequentially(code);
  await page.page.locator('#password').fill('another-1');
  await page.page.locator('#password2').fill('another-2');
  await page.click('#set-password');
  await page.sees('#note', "didn't match");
  await page.page.locator('#password2').fill('another-1');
  await page.click('#set-password');
  await page.sees('#note', 'Password reset successfully');
});
