// Unchanged pages show each message once and in order: with two tabs, after a screen was left and reopened, and for their own messages.

import assert from 'node:assert/strict';
import { openChat } from './dashboard.mjs';
import { TIMES, onEachTransport, sees } from './support/chat.mjs';

onEachTransport('one of two tabs loses its connection, and shows afterwards what the other one shows', async (t, scene) => {
  const { place, ann, admin, sent, send } = await scene();
  const tab = await openChat(t, { ...place, url: place.server.url }, place.server.ann, { beside: ann });
  await tab.sees('#status', 'Online');
  await tab.reads('.message', sent);
  await tab.page.locator('#input:enabled').waitFor();
  for (let time = 0; time < TIMES; time += 1) {
    place.proxy.refuse();
    place.proxy.all('cut');
    await sees(ann, 'Offline');
    await send(admin);
    await send(tab);
    await tab.reads('.message', sent);
    place.proxy.accept();
    await sees(ann, 'Online');
    await ann.reads('.message', sent);
  }
  await admin.reads('.message', sent);
});

onEachTransport('a page that left the chat screen and came back goes on after a lost connection', async (t, scene) => {
  const { place, ann, admin, sent, send } = await scene();
  for (let time = 0; time < TIMES; time += 1) {
    await ann.click('#to-profile');
    await ann.click('#to-chat');
    await ann.reads('.message', sent);
    await sees(ann, 'Online');
    place.proxy.refuse();
    place.proxy.all('cut');
    await sees(ann, 'Offline');
    await send(admin);
    place.proxy.accept();
    await sees(ann, 'Online');
    await ann.reads('.message', sent);
    await send(admin);
    await ann.reads('.message', sent);
  }
});

onEachTransport('a message of one\'s own is shown, though its confirmation was lost', async (t, scene) => {
  const { place, ann, admin, sent, send } = await scene();
  for (let time = 0; time < TIMES; time += 1) {
    for (const link of place.proxy.links) if (link.isListening) link.stall('toClient');
    await send(ann);
    await admin.reads('.message', sent);
    place.proxy.all('reset');
    await sees(ann, 'Offline');
    await sees(ann, 'Online');
    await ann.reads('.message', sent);
  }
  assert.deepEqual(ann.alerts, []);
});
