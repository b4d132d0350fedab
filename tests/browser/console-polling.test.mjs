// The console behind a proxy that blocks websockets.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { withoutWebSocket } from '../js/network.mjs';
import { Agent, send, site } from './agent.mjs';
import { skip } from './chromium.mjs';

test('where websockets are blocked, the console polls', { skip }, async (t) => {
  const { server, browser } = await site(t);
  const ann = await server.signIn(server.ann);
  await send(ann, server, 'hello');
  const agent = await Agent.logIn(t, browser, { url: await withoutWebSocket(t, server.url) }, server.admin);
  await agent.openConversation(server.ann);
  await agent.reads(['hello']);
  await agent.write('an answer');
  const { conversationId, seq } = await ann.waitFor('receive-message');
  await agent.status('an answer', 'sent');
  await ann.ask('received', { conversationId, seq });
  await agent.status('an answer', 'delivered');
  ann.emit('typing', { receiverId: server.admin.id });
  await agent.page.locator('#presence', { hasText: 'is typing…' }).waitFor();

  // Neither a stop nor a kill loses a message.
  await server.stop();
  await agent.page.getByText('Reconnecting…').waitFor();
  await agent.write('written meanwhile');
  await server.restart();
  await agent.status('written meanwhile', 'sent');
  await server.crash();
  await ann.signIn(server.token(server.ann));
  await send(ann, server, 'after all');
  await agent.reads(['hello', 'an answer', 'written meanwhile', 'after all']);

  // Logging out takes effect at once, not when a poll is missed.
  const second = await server.signIn(server.second);
  await agent.page.getByRole('button', { name: 'Log out' }).click();
  await second.waitFor('user-offline', { userId: server.admin.id });
  assert.equal(await agent.page.locator('#entrance').isVisible(), true);
});
