// A list that is updated during a click: the pressed row opens.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { mint } from '../js/server.mjs';
import { Agent, send } from './agent.mjs';
import { skip } from './chromium.mjs';
import { openChat } from './dashboard.mjs';
import { Screen, site } from './support/harness.mjs';
import { isConnected, openCustomer, scene, write } from './support/shop.mjs';

/** Presses the mouse button on an element, waits for `redrawn`, and releases the button. */
async function clickDuring(page, element, redrawn) {
  await element.hover();
  await page.mouse.down();
  await redrawn();
  await page.mouse.up();
}

test('a conversation in the console opens although its row changes during the click', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const ann = await server.signIn(server.ann);
  await send(ann, server, 'hello');
  const agent = await Agent.logIn(t, browser, server);
  const online = agent.row(server.ann).getByLabel('online');
  await online.waitFor();
  await clickDuring(agent.page, agent.row(server.ann).locator('a'), async () => {
    ann.close();
    await online.waitFor({ state: 'hidden' });
  });
  await agent.page.locator('#thread').waitFor();
  await agent.reads(['hello']);
});

test('a conversation of a dashboard-like page opens although presence changes during the click', { skip }, async (t) => {
  const place = await site(t);
  const [ann, desk] = [await place.server.signIn(place.server.ann), await place.server.signIn(place.server.admin)];
  await ann.send(place.server.admin, 'hello');
  // A missed message would make the page load its list again and remove it meanwhile.
  await desk.waitFor('receive-message');
  assert.equal((await desk.ask('mark-read', { senderId: place.server.ann.id })).ok, true);
  const admin = await openChat(t, place, place.server.admin);
  await admin.reads('.person .online', ['Ann']);
  await clickDuring(admin.page, admin.page.locator('.person'), async () => {
    ann.close();
    await admin.reads('.person .online', []);
  });
  await admin.reads('.message', ['hello']);
});

test('a room of a panel like the storefront\'s opens although another one gets a message during the click', { skip }, async (t) => {
  const { place, panel } = await scene(t);
  const bob = await openCustomer(t, place);
  await write(bob, 'from somebody else');
  // The panel opens the newest room, and its list does not change any more.
  await panel.page.reload();
  await panel.reads('.message', ['from somebody else']);
  await isConnected(panel);
  await clickDuring(panel.page, panel.page.locator('.room', { hasText: 'hello' }), async () => {
    await write(bob, 'and more');
    await panel.reads('.message', ['from somebody else', 'and more']);
  });
  await panel.reads('.message', ['hello']);
});

test('a room of a panel that polls opens although the list is fetched during the click', { skip }, async (t) => {
  const place = await site(t, { sameOrigin: true });
  const ann = await Screen.open(t, place, '/shop-later/customer.html', { storage: { name: 'Ann' } });
  await ann.click('#start');
  await ann.submit('#input', 'hello');
  const storage = { auth: JSON.stringify({ access: mint(place.server.admin) }) };
  const panel = await Screen.open(t, place, '/shop-later/panel.html?every=700', { storage });
  await panel.reads('.message', ['Ann: hello']);
  await clickDuring(panel.page, panel.page.locator('.room'), async () => {
    await ann.submit('#input', 'and more');
    await panel.reads('.room', ['Ann [1]']);
  });
  await panel.reads('.message', ['Ann: hello', 'Ann: and more']);
});
