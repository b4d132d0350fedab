// Clients of Engine.IO 3, with the official client of that version.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const ioV2 = createRequire(import.meta.url)('socket.io-client-2');

export default function stories(start) {
  test('they are refused by default', async (t) => {
    const server = await start(t);
    const { status, body } = await server.get('/socket.io/?EIO=3&transport=polling');
    assert.deepEqual([status, body], [400, { code: 5, message: 'Unsupported protocol version' }]);
    for (const transports of [['websocket'], ['polling']]) {
      const socket = ioV2(server.url, { transports, forceNew: true, reconnection: false });
      t.after(() => socket.close());
      await new Promise((resolve, reject) => {
        socket.on('connect_error', resolve);
        socket.on('connect', () => reject(new Error('it was let in')));
      });
    }
  });

  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    test(`with --allow-eio3 they can chat: ${transports.join(' to ')}`, async (t) => {
      const server = await start(t, '--allow-eio3');
      const ann = await server.signIn(server.ann, { transports, connect: ioV2 });
      const admin = await server.signIn(server.admin);
      const sent = await ann.send(server.admin, 'hello from long ago');
      assert.deepEqual(await admin.waitFor('receive-message'), sent);
      const reply = await admin.send(server.ann, 'hello from now');
      assert.deepEqual(await ann.waitFor('receive-message'), reply);
      ann.emit('typing', { receiverId: server.admin.id });
      await admin.waitFor('user-typing');
      ann.close();
      await admin.waitFor('user-offline', { userId: server.ann.id });
    });

    test(`what they have confirmed is not sent again: ${transports.join(' to ')}`, async (t) => {
      const server = await start(t, '--allow-eio3', '--ping-interval', '300ms', '--ping-timeout', '2s');
      const admin = await server.signIn(server.admin);
      // It authenticates at once, so that some events are carried by polls, and others by the websocket.
      const ann = server.client('ann', { transports, connect: ioV2 });
      await ann.waitFor('<connect>');
      await ann.signIn(server.token(server.ann));
      await admin.send(server.ann, 'one');
      await ann.waitFor('receive-message');
      // Long enough for the server to know that it has arrived.
      await ann.heartbeats(10);
      await ann.drop();
      await ann.waitFor('<connect>');
      await ann.waitFor('authenticated');
      await admin.send(server.ann, 'two');
      await ann.waitFor('receive-message', (received) => received.message === 'two');
      assert.deepEqual(ann.all('receive-message').map(({ message }) => message), ['one', 'two']);
    });
  }
}
