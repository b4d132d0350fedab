// What a dashboard-like page shows: unread counts, typing notices, whether it is signed in.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { skip } from './chromium.mjs';
import { customerReady, openChat, openPane } from './dashboard.mjs';
import { site } from './support/harness.mjs';

test('a message that is on an agent\'s screen is not counted as unread', { skip }, async (t) => {
  const place = await site(t);
  const ann = await place.server.signIn(place.server.ann);
  await ann.send(place.server.admin, 'the first');
  const admin = await openChat(t, place, place.server.admin);
  await openPane(admin, place.server.ann);
  // The page sends `mark-read` and requests the list at the same time, and shows the count of that response until the
  // next one.
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

test('a page with an expired token retries every two seconds', { skip }, async (t) => {
  const place = await site(t);
  const ann = await openChat(t, place, place.server.ann);
  await customerReady(ann);
  let attempts = 0;
  ann.page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => {
    if (String(payload).startsWith('42["authenticate"')) attempts += 1;
  }));
  // The expired token is in the storage whenever the page reads it, also after a reload.
  await ann.page.addInitScript((token) => localStorage.setItem('token', token), place.server.token(place.server.ann, { ttl: -10 }));
  await ann.page.reload();
  await ann.click('#to-chat');
  await ann.sees('#status', 'Offline');
  // It cannot read its list with that token, either, so a script sends its messages.
  const to = place.server.admin.id;
  await ann.page.evaluate(async (receiverId) => {
    const { current } = await import('/dashboard/socket.mjs');
    for (let round = 0; round < 20; round += 1) current().emit('send-message', { receiverId, message: 'x' });
  }, to);
  await ann.page.waitForTimeout(6000);
  assert.ok(attempts >= 2 && attempts <= 4, `${attempts} attempts in 6 s`);
});

test('typing lasts until the message is sent, and continues in another tab', { skip }, async (t) => {
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
