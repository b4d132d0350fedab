// Variants of events that other frontends send.

import assert from 'node:assert/strict';
import { test } from 'node:test';

export default function stories(start) {
  test('a token is accepted in several forms', async (t) => {
    const server = await start(t);
    const token = server.token(server.ann);
    const shown = [
      ['authenticate', token],
      ['authenticate', `Bearer ${token}`],
      ['authenticate', { token }],
      ['authenticate', { token: `Bearer ${token}` }],
      ['authenticate', { idToken: token }],
      ['authenticate', { accessToken: token }],
      ['auth', { token }],
    ];
    for (const event of shown) {
      const client = await server.connect(JSON.stringify(event).slice(0, 40));
      client.emit(...event);
      await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
      client.close();
    }
    const handshakes = {
      auth: { auth: { token } },
      'an Authorization header': { extraHeaders: { authorization: `Bearer ${token}` } },
      'a cookie': { extraHeaders: { cookie: `theme=dark; token=${token}; x=y` } },
    };
    for (const [what, options] of Object.entries(handshakes)) {
      const client = await server.connect(what, options);
      await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
      client.close();
    }
  });

  test('recipient and text have alternative names', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    for (const receiver of ['receiverId', 'recipientId', 'receiver', 'to', 'toUserId']) {
      for (const text of ['message', 'content', 'text']) {
        const message = `${receiver} ${text}`;
        ann.emit('send-message', { [receiver]: server.admin.id, [text]: message });
        await admin.waitFor('receive-message', (received) => received.message === message);
        await ann.waitFor('message-sent', (sent) => sent.message === message);
      }
    }
    ann.emit('send-message', { to: server.admin.id, message: { text: 'another dialect' } });
    assert.equal((await ann.waitFor('error')).message, 'Failed to send message');
  });

  test('read marks and typing notices have alternative forms', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    await admin.send(server.ann, 'hello');
    await ann.waitFor('receive-message');
    ann.emit('mark-read', { sender: server.admin.id });
    await admin.waitFor('messages-read', ({ readBy }) => readBy === server.ann.id);
    for (const payload of [server.admin.id, { to: server.admin.id }, { recipientId: server.admin.id, isTyping: true }]) {
      ann.emit('typing', payload);
      await admin.waitFor('user-typing');
      ann.emit('typing', { receiverId: server.admin.id, isTyping: false });
      await admin.waitFor('user-stop-typing');
    }
    ann.emit('stop-typing', server.admin.id);
    await admin.waitFor('user-stop-typing');
  });

  test('claims of a client about its identity are ignored', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    const anon = await server.connect('anon');
    for (const event of ['user-join', 'join', 'user-connected']) anon.emit(event, { userId: server.admin.id });
    anon.emit('user-join', server.admin.id);
    const claims = { senderId: server.bob.id, fromUserId: server.bob.id, sender: server.bob.id, userId: server.bob.id };
    ann.emit('send-message', { receiverId: server.admin.id, message: 'from whom?', ...claims });
    const received = await admin.waitFor('receive-message');
    assert.equal(received.sender._id, server.ann.id);
    ann.emit('typing', { receiverId: server.admin.id, ...claims });
    assert.equal((await admin.waitFor('user-typing')).userId, server.ann.id);
    await anon.nothingMore();
  });
}
