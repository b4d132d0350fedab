// Pages like the storefront's first generation, driven with a real mouse and keyboard.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { mint, PASSWORD } from '../js/server.mjs';
import { skip } from './chromium.mjs';
import { Screen } from './support/harness.mjs';
import { isConnected, openCustomer, retryPanel, sendElsewhere, scene, write } from './support/shop.mjs';

test('both screens show messages once and in order, although responses are slower than sockets', { skip }, async (t) => {
  const { ann, panel } = await scene(t, { answersAfterMs: 50 });
  const sent = ['hello'];
  for (let i = 1; i <= 12; i++) {
    sent.push(`r${i}`);
    await write(panel, `r${i}`);
  }
  await ann.reads('.message', sent);
  await panel.reads('.message', sent);
  for (let i = 1; i <= 4; i++) {
    sent.push(`q${i}`);
    await write(ann, `q${i}`);
  }
  for (const screen of [ann, panel]) await screen.reads('.message', sent);
  assert.equal((await panel.texts('.message.own')).length, 12);
});

test('messages sent while a page was disconnected are shown after a click on Retry', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t);
  place.proxy.refuse();
  place.proxy.all('reset');
  for (const screen of [ann, panel]) await screen.sees('#error', 'code 1006');
  place.proxy.accept();
  await sendElsewhere(place, 'meanwhile');
  await ann.click('#retry');
  await ann.reads('.message', ['hello', 'meanwhile']);
  await retryPanel(panel);
  await panel.reads('.message', ['hello', 'meanwhile']);
  await write(ann, 'afterwards');
  for (const screen of [ann, panel]) await screen.reads('.message', ['hello', 'meanwhile', 'afterwards']);
});

test('after a stop and after a kill, the pages offer to retry, and then show every message', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t);
  const sent = ['hello'];
  for (const [end, code] of [['stop', 'code 1012'], ['kill', 'code 1006']]) {
    await place.server[end]();
    for (const screen of [ann, panel]) await screen.sees('#error', code);
    await place.server.restart();
    sent.push(`after ${end}`);
    await sendElsewhere(place, sent.at(-1));
    await ann.click('#retry');
    await ann.reads('.message', sent);
    await retryPanel(panel);
    await panel.reads('.message', sent);
  }
});

test('two tabs of a customer, and two customers, each see their own messages', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t);
  const tab = await openCustomer(t, place, { beside: ann });
  await tab.reads('.message', ['hello']);
  await write(tab, 'second tab');
  for (const screen of [ann, tab, panel]) await screen.reads('.message', ['hello', 'second tab']);
  const bob = await openCustomer(t, place);
  await write(bob, 'somebody else');
  await panel.page.reload();
  await panel.sees('.room', 'somebody else');
  await panel.click('.room', { hasText: 'somebody else' });
  await panel.reads('.message', ['somebody else']);
  await write(panel, 'to bob alone');
  await bob.reads('.message', ['somebody else', 'to bob alone']);
  await panel.click('.room', { hasText: 'second tab' });
  await panel.reads('.message', ['hello', 'second tab']);
  assert.deepEqual(await ann.texts('.message'), ['hello', 'second tab']);
});

test('a file is shown as a link that works, and a customer can write in a closed room', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t);
  const { server } = place;
  const { body: rooms } = await server.get('/api/chat/rooms/', server.admin);
  const form = new FormData();
  form.append('room_id', (rooms.results ?? rooms)[0].id);
  form.append('message', 'see this');
  form.append('attachment', new Blob(['just text']), 'notes.txt');
  const headers = { authorization: `Bearer ${mint(server.admin)}` };
  assert.equal((await fetch(`${server.url}/api/chat/messages/`, { method: 'POST', headers, body: form })).status, 201);
  for (const screen of [ann, panel]) {
    await screen.sees('.message', 'see this');
    const link = (await screen.texts('.message')).at(-1).split('\n').at(-1);
    assert.equal(await (await fetch(link)).text(), 'just text', link);
  }
  const { body } = await server.get('/api/admin/chat-rooms/', server.admin);
  const path = `/api/admin/chat-rooms/${body.results[0].id}/`;
  await server.rest('PATCH', path, { as: server.admin, body: { status: 'closed' } });
  await panel.page.reload();
  await panel.sees('#head', 'closed');
  await write(ann, 'one more thing');
  await panel.sees('.message', 'one more thing');
  assert.equal((await panel.texts('.message')).length, 3);
});

test('the panel of a blocked agent receives nothing more', { skip }, async (t) => {
  const { place, ann } = await scene(t);
  const panel = await Screen.open(t, place, '/shop/panel.html');
  await panel.page.locator('#username').fill('second@x.test');
  await panel.page.locator('#password').fill(PASSWORD);
  await panel.click('#sign-in button');
  await panel.reads('.message', ['hello']);
  await isConnected(panel);
  await place.server.user(['block', 'second@x.test']);
  await panel.sees('#error', 'Session expired');
  await write(ann, 'not for the blocked one');
  await panel.click('#retry');
  await panel.sees('#error', 'not valid');
  assert.doesNotMatch(await panel.page.content(), /not for the blocked one/);
});
