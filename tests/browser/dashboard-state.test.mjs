// What a dashboard-like page shows of the state of things: what is unread, who types, whether it is signed in.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { skip } from './chromium.mjs';
import { customerReady, openChat, openPane } from './dashboard.mjs';
import { site } from './support/harness.mjs';

test('a message that an agent has on the screen is not counted as unread', { skip }, async (t) => {
  const place = await site(t);
  const ann = await place.server.signIn(place.server.ann);
  await ann.send(place.server.admin, 'the first');
  const admin = await openChat(t, place, place.server.admin);
  await openPane(admin, place.server.ann);
  // The page sends `mark-read` and asks for the list in the same moment, and shows that answer's count until the next one.
  const counts = [];
  for (let round = 0; round < 100; round += 1) {
    const listed = admin.page.waitForResponse((answer) => answer.url().endsWith('/conversations') && answer.request().method() === 'GET');
    await ann.send(place.server.admin, `message ${round}`);
    const [row] = await (await listed).json();
    counts.push(row.unreadCount);
  }
  assert.deepEqual(counts.filter((count) => count > 0), []);
  await admin.click('#back');
  await admin.sees('.person', 'message 99');
  assert.equal(await admin.page.locator('.badge').count(), 0);
});

test('a page with an old token goes on trying, once in two seconds', { skip }, async (t) => {
  const place = await site(t);
  const ann = await openChat(t, place, place.server.ann);
  await customerReady(ann);
  let attempts = 0;
  ann.page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => {
    if (String(payload).startsWith('42["authenticate"')) attempts += 1;
  }));
  // It takes its new token when it is denied, and is reloaded with it.
  await ann.page.addInitScript((token) => localStorage.setItem('token', token), place.server.token(place.server.ann, { ttl: -10 }));
  await ann.page.reload();
  await ann.click('#to-chat');
  await ann.sees('#status', 'Offline');
  // Its list cannot be read with that token either, so what it writes goes the way that a script takes.
  const to = place.server.admin.id;
  await ann.page.evaluate(async (receiverId) => {
    const { current } = await import('/dashboard/socket.mjs');
    for (let round = 0; round < 20; round += 1) current().emit('send-message', { receiverId, message: 'x' });
  }, to);
  await ann.page.waitForTimeout(6000);
  assert.ok(attempts >= 2 && attempts <= 4, `${attempts} attempts in 6 s`);
});

test('typing lasts until it is sent, and another tab goes on', { skip }, async (t) => {
  const place = await site(t);
  const ann = await openChat(t, place, place.server.ann);
  await customerReady(ann);
  await ann.write('#input', 'hello');
  const tab = await openChat(t, place, place.server.ann, { beside: ann });
  await customerReady(tab);
  const admin = await openChat(t, place, place.server.admin);
  await openPane(admin, place.server.ann);
  const typing = admin.page.locator('#typing');
  await ann.page.locator('#input').pressSequentially('one');
  await typing.waitFor();
  await tab.page.locator('#input').pressSequentially('two');
  await ann.page.locator('#input').press('Enter');
  await admin.reads('.message', ['hello', 'one']);
  await tab.page.locator('#input').pressSequentially('!');
  await typing.waitFor({ timeout: 1000 });
  await tab.page.locator('#input').press('Enter');
  await admin.reads('.message', ['hello', 'one', 'two!']);
  await typing.waitFor({ state: 'hidden' });
});
