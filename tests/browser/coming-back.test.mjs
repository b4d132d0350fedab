// What stands on the screens of unchanged pages after connections and servers were lost: each message once, in order.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { skip } from './chromium.mjs';
import { Screen, signedIn, site } from './support/harness.mjs';

/** How often each way of losing a connection is tried. */
const TIMES = Number(process.env.DESKLINE_COMING_BACK_TIMES ?? 3);

async function openChat(t, place, account, options) {
  const screen = await Screen.open(t, place, '/dashboard/', { storage: signedIn(account), ...options });
  await screen.click('#to-chat');
  return screen;
}

/** Customer's and agent's screens, both in the conversation, the customer's behind the proxy. */
async function scene(t, options) {
  const place = await site(t, { proxy: true, ...options });
  const ann = await openChat(t, place, place.server.ann);
  await ann.sees('#status', 'Online');
  await ann.page.locator('#input:enabled').waitFor();
  await ann.write('#input', '0');
  await ann.reads('.message', ['0']);
  const admin = await openChat(t, { ...place, url: place.server.url }, place.server.admin);
  await admin.click('.person', { hasText: 'Ann' });
  await admin.page.locator('#input:enabled').waitFor();
  await admin.reads('.message', ['0']);
  const said = ['0'];
  /** Somebody writes something new. */
  const say = async (screen) => {
    said.push(`${said.length}`);
    await screen.page.locator('#input:enabled').waitFor();
    await screen.write('#input', said.at(-1));
  };
  return { place, ann, admin, said, say };
}

/** The page has noticed that it is cut off, or that it is connected again. */
const sees = (screen, status) => screen.sees('#status', status);

for (const way of ['cut', 'reset']) {
  test(`a page whose connection is ended by ${way === 'cut' ? 'FIN' : 'RST'} shows each message once, in order`, { skip }, async (t) => {
    const { place, ann, admin, said, say } = await scene(t);
    for (let time = 0; time < TIMES; time += 1) {
      await say(admin);
      place.proxy.refuse();
      place.proxy.all(way);
      await say(admin);
      await sees(ann, 'Offline');
      await say(admin);
      place.proxy.accept();
      await sees(ann, 'Online');
      await say(ann);
      await ann.reads('.message', said);
    }
    await admin.reads('.message', said);
  });
}

test('a page whose network falls silent shows each message once, in order, and nothing late', { skip }, async (t) => {
  const { place, ann, admin, said, say } = await scene(t, { args: ['--ping-interval', '1s', '--ping-timeout', '2s'] });
  for (let time = 0; time < TIMES; time += 1) {
    await say(admin);
    place.proxy.all('silence');
    await say(admin);
    await sees(ann, 'Offline');
    await say(admin);
    await sees(ann, 'Online');
    await ann.reads('.message', said);
    // Longer than the server takes to find out that the old connection is dead.
    await ann.page.waitForTimeout(4000);
    await say(ann);
    await ann.reads('.message', said);
  }
  await admin.reads('.message', said);
});

test('pages show each message once, in order, after the server was killed while they wrote', { skip }, async (t) => {
  const { place, ann, admin, said, say } = await scene(t);
  for (let time = 0; time < TIMES; time += 1) {
    for (let part = 0; part < 3; part += 1) await say(part % 2 ? ann : admin);
    await ann.reads('.message', said);
    await place.server.crash();
    await sees(ann, 'Online');
    await say(ann);
    await ann.reads('.message', said);
    await admin.reads('.message', said);
  }
});

test('one of two tabs loses its connection, and shows afterwards what the other one shows', { skip }, async (t) => {
  const { place, ann, admin, said, say } = await scene(t);
  const tab = await openChat(t, { ...place, url: place.server.url }, place.server.ann, { beside: ann });
  await tab.sees('#status', 'Online');
  await tab.reads('.message', said);
  await tab.page.locator('#input:enabled').waitFor();
  for (let time = 0; time < TIMES; time += 1) {
    place.proxy.refuse();
    place.proxy.all('cut');
    await sees(ann, 'Offline');
    await say(admin);
    await say(tab);
    await tab.reads('.message', said);
    place.proxy.accept();
    await sees(ann, 'Online');
    await ann.reads('.message', said);
  }
  await admin.reads('.message', said);
});

test('a page that left the chat screen and came back goes on after a lost connection', { skip }, async (t) => {
  const { place, ann, admin, said, say } = await scene(t);
  for (let time = 0; time < TIMES; time += 1) {
    await ann.click('#to-profile');
    await ann.click('#to-chat');
    await ann.reads('.message', said);
    await sees(ann, 'Online');
    place.proxy.refuse();
    place.proxy.all('cut');
    await sees(ann, 'Offline');
    await say(admin);
    place.proxy.accept();
    await sees(ann, 'Online');
    await ann.reads('.message', said);
    await say(admin);
    await ann.reads('.message', said);
  }
});

test('a message of one\'s own is shown, though its confirmation was lost', { skip }, async (t) => {
  const { place, ann, admin, said, say } = await scene(t);
  for (let time = 0; time < TIMES; time += 1) {
    place.proxy.all('stall', 'toClient');
    await say(ann);
    await admin.reads('.message', said);
    place.proxy.all('reset');
    await sees(ann, 'Offline');
    await sees(ann, 'Online');
    await ann.reads('.message', said);
  }
  assert.deepEqual(ann.alerts, []);
});
