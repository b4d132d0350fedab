// Files that customers send, opened from the console in a real Chromium.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { mint } from '../js/server.mjs';
import { Agent, site } from './agent.mjs';
import { skip } from './chromium.mjs';

test('a file is shown by its name, and opens in a new tab', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const headers = { authorization: `Bearer ${mint(server.ann)}` };
  const room = await (await fetch(`${server.url}/api/chat/rooms/my_room/`, { headers })).json();
  const form = new FormData();
  form.append('room_id', room.room.id);
  form.append('message', 'see this');
  form.append('attachment', new Blob(['just text']), 'notes.txt');
  assert.equal((await fetch(`${server.url}/api/chat/messages/`, { method: 'POST', headers, body: form })).status, 201);
  const agent = await Agent.logIn(t, browser, server);
  await agent.openConversation(server.ann);
  const link = agent.page.getByRole('link', { name: 'notes.txt' });
  await Promise.all([agent.page.context().waitForEvent('page'), link.click()]);
  assert.equal(await (await fetch(await link.getAttribute('href'))).text(), 'just text');
  assert.match(agent.page.url(), /\/console\//, 'the console itself stays');
});
