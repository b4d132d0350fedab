// `mark-read`, `messages-read`, and the `read` field in the history.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../expect.mjs';

export default function stories(start) {
  const unread = async (server, account) => (await server.get('/api/chat/unread-count', account)).body.count;
  const isRead = async (server, reader, other) =>
    (await server.get(`/api/chat/messages/${other.id}`, reader)).body.map((stored) => stored.read);

  test('a read mark is sent to all tabs of the author, and the unread count falls', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    const tab = await server.signIn(server.ann, { name: 'ann, tab 2' });
    const bob = await server.signIn(server.bob);
    await ann.send(server.admin, 'one');
    await ann.send(server.admin, 'two');
    await admin.waitFor('receive-message', (received) => received.message === 'two');
    assert.equal(await unread(server, server.admin), 2);
    admin.emit('mark-read', { senderId: server.ann.id });
    for (const client of [ann, tab]) {
      await client.waitFor('messages-read', ({ readBy }) => readBy === server.admin.id);
    }
    assert.equal(await unread(server, server.admin), 0);
    await bob.drain();
    await bob.nothingMore();
    // Ann's own request does not mark her messages as read.
    assert.deepEqual(await isRead(server, server.ann, server.admin), [true, true]);
  });

  test('a customer marks messages of the desk as read, whichever agent wrote them', async (t) => {
    const server = await start(t);
    const [admin, second] = [await server.signIn(server.admin), await server.signIn(server.second)];
    const ann = await server.signIn(server.ann);
    await second.send(server.ann, 'hello');
    await ann.waitFor('receive-message');
    assert.equal(await unread(server, server.ann), 1);
    ann.emit('mark-read', { senderId: server.admin.id });
    for (const agent of [admin, second]) await agent.waitFor('messages-read', ({ readBy }) => readBy === server.ann.id);
    assert.equal(await unread(server, server.ann), 0);
  });

  test('invalid read marks are ignored', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    const anon = await server.connect('anon');
    await ann.send(server.admin, 'hello');
    await admin.waitFor('receive-message');
    anon.emit('mark-read', { senderId: server.ann.id });
    admin.emit('mark-read');
    for (const senderId of [null, '', 5, 'not-an-id', '0123456789abcdef01234567', {}, [server.ann.id]]) {
      admin.emit('mark-read', { senderId });
    }
    for (const payload of [null, 5, 'x', []]) admin.emit('mark-read', payload);
    await Promise.all([anon.roundTrip(), admin.roundTrip()]);
    await admin.drain();
    await Promise.all([admin, ann, anon].map((client) => client.nothingMore()));
    assert.equal(await unread(server, server.admin), 1);
  });

  test('fetching the history marks it as read, after the snapshot', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    await ann.send(server.admin, 'one');
    assert.deepEqual(await isRead(server, server.admin, server.ann), [false]);
    await eventually(async () => (await unread(server, server.admin)) === 0);
    assert.deepEqual(await isRead(server, server.admin, server.ann), [true]);
    assert.deepEqual(await isRead(server, server.ann, server.admin), [true]);
  });

  test('reading one conversation leaves the others unread', async (t) => {
    const server = await start(t);
    const [admin, ann, bob] = await Promise.all(['admin', 'ann', 'bob'].map((key) => server.signIn(server[key])));
    await ann.send(server.admin, 'from ann');
    await bob.send(server.admin, 'from bob');
    await admin.waitFor('receive-message', (received) => received.message === 'from bob');
    admin.emit('mark-read', { senderId: server.ann.id });
    await ann.waitFor('messages-read');
    const { body } = await server.get('/api/chat/conversations', server.admin);
    assert.deepEqual(body.map((line) => [line.name, line.unreadCount]), [['Bob', 1], ['Ann', 0]]);
    await bob.drain();
    await bob.nothingMore();
  });

  test('a read mark does not cover messages that were not delivered to the reader', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    await admin.send(server.ann, 'one');
    await ann.waitFor('receive-message');
    // Otherwise the last messages before the connection ends count as not delivered.
    await ann.settle();
    ann.close();
    await admin.waitFor('user-offline', { userId: server.ann.id });
    await admin.send(server.ann, 'two');
    const back = await server.connect('ann, back');
    // She sends the mark before any other message can have reached her.
    await back.ask('authenticate', { token: server.token(server.ann), catchUp: false });
    back.emit('mark-read', { senderId: server.admin.id });
    await back.roundTrip();
    await admin.waitFor('messages-read');
    assert.equal(await unread(server, server.ann), 1);
  });
}
