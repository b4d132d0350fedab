// `typing`, `stop-typing`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

export default function stories(start) {
  test('typing notices and their ends are sent to the other side', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    const bob = await server.signIn(server.bob);
    const tab = await server.signIn(server.ann, { name: 'ann, tab 2' });
    await Promise.all([ann, admin, bob].map((client) => client.drain()));
    const by = (account) => ({ userId }) => userId === account.id;
    ann.emit('typing', { receiverId: server.admin.id });
    await admin.waitFor('user-typing', by(server.ann));
    ann.emit('stop-typing', { receiverId: server.admin.id });
    await admin.waitFor('user-stop-typing', by(server.ann));
    admin.emit('typing', { receiverId: server.ann.id });
    for (const client of [ann, tab]) await client.waitFor('user-typing', by(server.admin));
    admin.emit('stop-typing', { receiverId: server.ann.id });
    for (const client of [ann, tab]) await client.waitFor('user-stop-typing', by(server.admin));
    await Promise.all([ann, admin].map((client) => client.drain()));
    await Promise.all([ann, tab, admin, bob].map((client) => client.nothingMore()));
  });

  test('to a customer, typing notices come from the desk, whichever agent types', async (t) => {
    const server = await start(t);
    const [ann, second] = [await server.signIn(server.ann), await server.signIn(server.second)];
    second.emit('typing', { receiverId: server.ann.id });
    await ann.waitFor('user-typing', ({ userId }) => userId === server.admin.id);
  });

  test('a typing notice lasts as long as the typing, and ends with the message', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    ann.emit('typing', { receiverId: server.admin.id });
    await admin.waitFor('user-typing', ({ name }) => name === 'Ann');
    ann.emit('send-message', { receiverId: server.admin.id, message: 'done' });
    await admin.waitFor('user-stop-typing', ({ userId }) => userId === server.ann.id);
    await admin.waitFor('receive-message');
    await admin.drain();
    await admin.nothingMore();
  });

  test('a person who types in two tabs stops typing when both tabs do', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    const tab = await server.signIn(server.ann, { name: 'ann, tab 2' });
    for (const client of [ann, tab]) {
      client.emit('typing', { receiverId: server.admin.id });
      await admin.waitFor('user-typing');
    }
    ann.emit('stop-typing', { receiverId: server.admin.id });
    await ann.roundTrip();
    ann.close();
    await admin.drain();
    await admin.nothingMore(300);
    tab.emit('send-message', { receiverId: server.admin.id, message: 'done' });
    await admin.waitFor('user-stop-typing');
  });

  test('for a customer the desk is typing as long as any agent is, and colleagues see who', async (t) => {
    const server = await start(t);
    const [ann, admin, second] = [await server.signIn(server.ann), await server.signIn(server.admin), await server.signIn(server.second)];
    const to = { receiverId: server.ann.id };
    admin.emit('typing', to);
    await ann.waitFor('user-typing');
    second.emit('typing', to);
    await ann.waitFor('user-typing', ({ userId }) => userId === server.admin.id);
    const seen = await admin.waitFor('user-typing');
    // The desk has the recipient's own id, as in messages, so that no page takes it for a customer.
    assert.deepEqual([seen.userId, seen.name], [server.admin.id, 'Second']);
    admin.emit('stop-typing', to);
    await second.waitFor('user-stop-typing', ({ name }) => name === 'Admin');
    await ann.drain();
    assert.deepEqual(ann.takeAll('user-stop-typing'), []);
    second.emit('stop-typing', to);
    await ann.waitFor('user-stop-typing', ({ userId }) => userId === server.admin.id);
  });

  test('a typing notice expires', async (t) => {
    const server = await start(t, '--typing-ttl', '300ms');
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    ann.emit('typing', { receiverId: server.admin.id });
    await admin.waitFor('user-typing');
    await admin.waitFor('user-stop-typing', ({ userId }) => userId === server.ann.id);
    await admin.nothingMore(500);
  });

  test('typing ends with the connection of the typist', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    ann.emit('typing', { receiverId: server.admin.id });
    await admin.waitFor('user-typing');
    ann.close();
    await admin.waitFor('user-stop-typing', ({ userId }) => userId === server.ann.id);
    await admin.waitFor('user-offline', { userId: server.ann.id });
  });

  test('unauthenticated, misdirected and malformed typing notices are ignored', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const ann = await server.signIn(server.ann);
    const bob = await server.signIn(server.bob);
    const anon = await server.connect('anon');
    const clients = [admin, ann, bob, anon];
    await Promise.all(clients.map((client) => client.drain()));
    for (const event of ['typing', 'stop-typing']) {
      anon.emit(event, { receiverId: server.admin.id });
      anon.emit(event);
      ann.emit(event);
      // They have no conversation, so she must not learn whether he is online.
      ann.emit(event, { receiverId: server.bob.id });
      for (const receiverId of ['', 'not-an-id', '0123456789abcdef01234567', 5, null, { $ne: null }, ['x']]) {
        ann.emit(event, { receiverId });
      }
      for (const payload of [null, 5, [], true, 'x']) ann.emit(event, payload);
    }
    await Promise.all([ann.roundTrip(), anon.roundTrip()]);
    await Promise.all(clients.map((client) => client.nothingMore()));
  });
}
