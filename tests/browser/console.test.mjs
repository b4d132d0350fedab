// Agents use the console in a real Chromium; customers are on stock socket.io-clients.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Agent, send, site } from './agent.mjs';
import { skip } from './chromium.mjs';

test('an agent answers, and sees the status of the answer', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const agent = await Agent.logIn(t, browser, server);
  const ann = await server.signIn(server.ann);
  const { conversationId } = await send(ann, server, 'is anybody there?');
  await agent.row(server.ann).getByLabel('1 unread').waitFor();
  await agent.row(server.ann).getByLabel('online').waitFor();
  assert.equal(await agent.page.title(), '(1) Deskline');
  await agent.openConversation(server.ann);
  await agent.reads(['is anybody there?']);
  await ann.waitFor('messages-read');
  await agent.row(server.ann).locator('.badge').waitFor({ state: 'hidden' });

  // Both see that the other side types.
  ann.emit('typing', { receiverId: server.admin.id });
  await agent.page.locator('#presence', { hasText: 'is typing…' }).waitFor();
  ann.emit('stop-typing', { receiverId: server.admin.id });
  await agent.page.locator('#presence', { hasText: 'online' }).waitFor();
  await agent.page.getByLabel('Your reply').pressSequentially('I ');
  await ann.waitFor('user-typing');

  await agent.page.getByLabel('Your reply').fill('I am');
  await agent.page.keyboard.press('Enter');
  await ann.waitFor('user-stop-typing');
  const { seq } = await ann.waitFor('receive-message', ({ message }) => message === 'I am');
  await agent.status('I am', 'sent');
  assert.equal(await agent.message('I am').getByRole('img').getAttribute('aria-label'), 'Sent');
  await ann.ask('received', { conversationId, seq });
  await agent.status('I am', 'delivered');
  await ann.ask('mark-read', { conversationId, seq });
  await agent.status('I am', 'read');

  // A message to an offline customer stays `stored` until they connect.
  ann.close();
  await agent.page.locator('#presence', { hasText: 'offline' }).waitFor();
  await agent.write('still there?');
  await agent.status('still there?', 'stored');
  await server.signIn(server.ann, { name: 'ann, back' });
  await agent.status('still there?', 'sent');
  await agent.status('I am', 'read');

  // The history has the status, too.
  await agent.page.reload();
  await agent.status('I am', 'read');
  await agent.status('still there?', 'sent');
});

test('unread messages of other conversations are counted until these are opened', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const [ann, bob] = [await server.signIn(server.ann), await server.signIn(server.bob)];
  await send(ann, server, 'one');
  const agent = await Agent.logIn(t, browser, server);
  await agent.openConversation(server.ann);
  for (const text of ['two', 'three']) await send(bob, server, text);
  await agent.row(server.bob).getByLabel('2 unread').waitFor();
  await agent.page.locator('#conversations li:first-child', { hasText: 'Bob' }).waitFor();
  // Deleted messages are not counted any more.
  const { messageId } = await send(bob, server, 'never mind');
  await agent.row(server.bob).getByLabel('3 unread').waitFor();
  await bob.ask('delete-message', { messageId });
  await agent.row(server.bob).getByLabel('2 unread').waitFor();
  await agent.row(server.bob).locator('.last', { hasText: 'three' }).waitFor();
  await agent.openConversation(server.bob);
  await agent.reads(['two', 'three']);
  await agent.row(server.bob).locator('.badge').waitFor({ state: 'hidden' });
  await agent.page.goBack();
  await agent.reads(['one']);
});

test('messages and read marks of a colleague are shown', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const [ann, second] = [await server.signIn(server.ann), await server.signIn(server.second)];
  await send(ann, server, 'help');
  const agent = await Agent.logIn(t, browser, server);
  await second.send(server.ann, 'a colleague answers');
  await second.ask('mark-read', { senderId: server.ann.id });
  await agent.row(server.ann).locator('.badge').waitFor({ state: 'hidden' });
  await agent.openConversation(server.ann);
  await agent.message('a colleague answers').locator('.author', { hasText: 'Second' }).waitFor();
  // It is a message of the desk, but this agent cannot edit it.
  await agent.status('a colleague answers', 'sent');
  assert.equal(await agent.message('a colleague answers').locator('.menu').count(), 0);
});

test('both sides edit and delete messages', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const ann = await server.signIn(server.ann);
  const hers = await send(ann, server, 'helo');
  const agent = await Agent.logIn(t, browser, server);
  await agent.openConversation(server.ann);
  await ann.ask('edit-message', { messageId: hers.messageId, message: 'hello' });
  await agent.message('hello').locator('.edited').waitFor();
  await agent.reads(['hello']);

  await agent.write('godo morning');
  await ann.waitFor('receive-message');
  await agent.choose('godo morning', 'Edit');
  await agent.page.getByLabel('Your reply').fill('good morning');
  await agent.page.getByRole('button', { name: 'Save' }).click();
  assert.equal((await ann.waitFor('message-edited', ({ message }) => message === 'good morning')).editedBy, server.admin.id);
  await agent.message('good morning').locator('.edited').waitFor();

  await agent.choose('good morning', 'Delete');
  await agent.page.getByRole('button', { name: 'Keep it' }).click();
  await agent.reads(['hello', 'good morning']);
  await agent.choose('good morning', 'Delete');
  await agent.page.locator('dialog').getByRole('button', { name: 'Delete' }).click();
  await ann.waitFor('message-deleted');
  await agent.reads(['hello', 'This message was deleted']);
  await ann.ask('delete-message', { messageId: hers.messageId });
  await agent.reads(['This message was deleted', 'This message was deleted']);
});

test('after a restart every message is shown once, including those written meanwhile', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const ann = await server.signIn(server.ann);
  const before = await send(ann, server, 'before');
  const agent = await Agent.logIn(t, browser, server);
  await agent.openConversation(server.ann);
  await agent.write('an answer');
  await agent.status('an answer', 'sent');
  await server.stop();
  await agent.page.getByText('Reconnecting…').waitFor();
  await agent.write('written while it was away');
  await agent.status('written while it was away', 'sending');
  await server.restart();
  await agent.connected();
  await ann.waitFor('receive-message', ({ message }) => message === 'written while it was away');
  await agent.status('written while it was away', 'sent');
  const after = await send(ann, server, 'after');
  await agent.reads(['before', 'an answer', 'written while it was away', 'after']);

  // After a kill without a close, the page catches up with everything that it missed.
  await server.crash();
  await agent.connected();
  await agent.page.context().setOffline(true);
  await agent.page.getByText('Reconnecting…').waitFor();
  const elsewhere = await server.signIn(server.ann, { name: 'ann, elsewhere' });
  const { conversationId, seq } = await send(elsewhere, server, 'while away');
  await elsewhere.ask('edit-message', { messageId: before.messageId, message: 'before, edited' });
  await elsewhere.ask('delete-message', { messageId: after.messageId });
  await elsewhere.ask('mark-read', { conversationId, seq });
  await agent.page.context().setOffline(false);
  await agent.connected();
  const gone = 'This message was deleted';
  await agent.reads(['before, edited', 'an answer', 'written while it was away', gone, 'while away']);
  await agent.status('written while it was away', 'read');
  await agent.row(server.ann).locator('.last', { hasText: 'while away' }).waitFor();
});
