// People who went offline while a page was disconnected.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { skip } from './chromium.mjs';
import { customerReady, openChat } from './dashboard.mjs';
import { DEADLINE, site } from './support/harness.mjs';

/** Waits until exactly these people have an online dot. */
const showsOnline = (admin, names) => admin.reads('.person .online', names);

/** An agent's page behind the proxy, with Ann and Bob online in its list. */
async function agentScene(t) {
  const place = await site(t, { proxy: true });
  const [ann, bob] = [await place.server.signIn(place.server.ann), await place.server.signIn(place.server.bob)];
  for (const customer of [ann, bob]) await customer.send(place.server.admin, `from ${customer.name}`);
  const admin = await openChat(t, place, place.server.admin);
  await showsOnline(admin, ['Bob', 'Ann']);
  return { place, ann, admin };
}

test('an agent sees that a customer left while the page was disconnected', { skip }, async (t) => {
  const { place, ann, admin } = await agentScene(t);
  const colleague = await place.server.signIn(place.server.second);
  place.proxy.refuse();
  const lost = admin.page.waitForEvent('websocket', { timeout: DEADLINE });
  place.proxy.all('reset');
  await lost;
  ann.close();
  // The admin's own absence is announced, too.
  while ((await colleague.waitFor('user-offline')).userId !== place.server.ann.id);
  place.proxy.accept();
  await showsOnline(admin, ['Bob']);
});

test('an agent sees that a customer left while the server was down', { skip }, async (t) => {
  const { place, ann, admin } = await agentScene(t);
  await place.server.kill();
  ann.close();
  await place.server.restart();
  await showsOnline(admin, ['Bob']);
});

// The page does not show whether the desk is online, so its events are checked instead.
test('a customer learns that the desk left while the page was disconnected', { skip }, async (t) => {
  const place = await site(t, { proxy: true });
  const desk = await place.server.signIn(place.server.admin);
  const ann = await openChat(t, place, place.server.ann);
  await customerReady(ann);
  const watcher = await place.server.signIn(place.server.bob);
  place.proxy.refuse();
  place.proxy.all('reset');
  await ann.sees('#status', 'Offline');
  desk.close();
  const left = await watcher.waitFor('user-offline');
  assert.equal(left.userId, place.server.admin.id);
  const offlineReceived = new Promise((resolve) => {
    ann.page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => {
      const text = String(payload);
      if (text.includes('"user-offline"') && text.includes(place.server.admin.id)) resolve();
    }));
  });
  place.proxy.accept();
  await ann.sees('#status', 'Online');
  const late = AbortSignal.timeout(DEADLINE);
  const tooLate = new Promise((_, reject) => {
    late.onabort = () => reject(new Error('the page did not receive user-offline'));
  });
  await Promise.race([offlineReceived, tooLate]);
});
