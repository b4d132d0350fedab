// Restarts of the server, and clients that send too much.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../expect.mjs';

export default function stories(start) {
  test('clients reconnect by themselves after a restart, and continue where they were', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    await ann.send(server.admin, 'before');
    await admin.waitFor('receive-message');
    const stoppedAt = Date.now();
    await server.restart();
    for (const client of [admin, ann]) {
      await client.waitFor('<disconnect>');
      // After `io server disconnect`, the stock client would not reconnect by itself. A polling client may also notice the stop by a
      // failed poll.
      const reasons = client.engine.transport.name === 'polling' ? ['transport close', 'transport error'] : ['transport close'];
      assert.ok(reasons.includes(client.all('<disconnect>')[0]), client.all('<disconnect>')[0]);
      await client.waitFor('<connect>');
      assert.equal((await client.waitFor('authenticated')).success, true);
    }
    assert.ok(Date.now() - stoppedAt < 30_000, 'before the 40 s after which the frontend gives up');
    await ann.send(server.admin, 'after');
    await admin.waitFor('receive-message', (received) => received.message === 'after');
    const history = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.deepEqual(history.body.map((stored) => stored.message), ['before', 'after']);
  });

  test('messages sent while the server stops are stored and acknowledged, as long as the socket is open', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const answers = [];
    const talk = setInterval(() => {
      if (!ann.socket.connected) return;
      const message = `message ${answers.length}`;
      answers.push({ message });
      const place = answers.length - 1;
      ann.socket.emit('send-message', { receiverId: server.admin.id, message }, (answer) => (answers[place].answer = answer));
    }, 2);
    await eventually(() => answers.some(({ answer }) => answer));
    await server.stop();
    await ann.waitFor('<disconnect>');
    clearInterval(talk);
    await server.restart();
    const answered = answers.filter(({ answer }) => answer);
    assert.deepEqual(answered.filter(({ answer }) => !answer.ok), [], 'none is refused');
    const history = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    const stored = history.body.map(({ message }) => message);
    for (const { message } of answered) assert.ok(stored.includes(message), `${message} was acknowledged and is stored`);
    assert.equal(new Set(stored).size, stored.length);
  });

  test('a message of 1.2 MB is refused, and the connection stays open', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    ann.emit('send-message', { receiverId: server.admin.id, message: 'x'.repeat(1_200_000) });
    const refused = await ann.waitFor('error');
    assert.equal(refused.message, 'Failed to send message');
    assert.equal(refused.code, 'too_large');
    await ann.send(server.admin, 'still here');
    await admin.waitFor('receive-message', (received) => received.message === 'still here');
    assert.deepEqual(ann.all('<disconnect>'), []);
  });

  test('a message beyond the packet limit closes the connection, and the client reconnects', async (t) => {
    const server = await start(t);
    const [bob, ann] = [await server.signIn(server.bob), await server.signIn(server.ann)];
    ann.emit('send-message', { receiverId: server.admin.id, message: 'x'.repeat(5_000_000) });
    await ann.waitFor('<disconnect>');
    await ann.waitFor('<connect>');
    assert.equal((await ann.waitFor('authenticated')).success, true);
    assert.ok((await ann.send(server.admin, 'back'))._id);
    assert.ok((await bob.send(server.admin, 'not concerned'))._id);
  });

  test('a flood of events is handled in order, and affects nobody else', async (t) => {
    const server = await start(t);
    const [bob, ann] = [await server.signIn(server.bob), await server.signIn(server.ann)];
    for (let index = 0; index < 2000; index += 1) ann.emit('typing', { receiverId: server.admin.id });
    assert.ok((await bob.send(server.admin, 'not concerned'))._id);
    await ann.roundTrip();
    assert.ok(ann.socket.connected);
  });

  test('binary attachments, nested objects and unknown events do no harm', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const deep = JSON.parse('['.repeat(100) + ']'.repeat(100));
    for (const event of ['send-message', 'mark-read', 'typing', 'stop-typing', 'resume', 'whatever']) {
      ann.emit(event, Buffer.from([1, 2, 3]));
      ann.emit(event, { receiverId: Buffer.from('x'), message: new Uint8Array(10), senderId: Buffer.from('x') });
      ann.emit(event, deep);
      ann.emit(event, 1, 2, 3, 'four', null);
    }
    ann.emit('authenticate', Buffer.from('token'));
    await ann.waitFor('authenticated', ({ success }) => !success);
    ann.emit('authenticate', server.token(server.ann));
    await ann.waitFor('authenticated', ({ success }) => success);
    assert.ok((await ann.send(server.admin, 'fine'))._id);
    assert.ok(server.isRunning);
  });
}
