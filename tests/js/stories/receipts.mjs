// The status of a message: stored → sent → delivered → read, each with the event that causes it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../expect.mjs';

export default function stories(start) {
  /** A client that asks for the status of its messages. */
  const listen = async (server, account, name = account.key) => {
    const client = await server.connect(name);
    assert.equal((await client.ask('authenticate', { token: server.token(account), receipts: true })).ok, true);
    await client.drain();
    return client;
  };
  const send = (client, to, message) => client.ask('send-message', { receiverId: to.id, message });
  const statuses = async (server, as, other) => {
    const { body } = await server.get(`/api/chat/messages/${other.id}`, as);
    return body.map(({ message, status }) => [message, status]);
  };
  /** Reads the status of a person's own messages by `resume`, which does not confirm what the person has received. */
  const resumed = async (client, conversationId) => {
    const { conversations } = await client.ask('resume', { conversations: { [conversationId]: 0 } });
    const messages = conversations[conversationId].entries.filter(({ kind }) => kind === 'message');
    return messages.map(({ entry }) => entry.status);
  };
  const status = (conversationId, name, { seq, messageId }) => ({ conversationId, status: name, upTo: seq, messageId });

  test('stored, sent, delivered, read: each is reported when it happens', async (t) => {
    const server = await start(t);
    const ann = await listen(server, server.ann);
    const sent = await send(ann, server.admin, 'one');
    assert.equal(sent.status, 'stored');
    const { conversationId } = sent;
    assert.deepEqual(await resumed(ann, conversationId), ['stored']);

    const admin = await server.signIn(server.admin);
    await admin.waitFor('receive-message');
    await ann.waitFor('message-status', status(conversationId, 'sent', sent));
    assert.deepEqual(await resumed(ann, conversationId), ['sent']);

    assert.equal((await admin.ask('received', { conversationId, seq: sent.seq })).ok, true);
    await ann.waitFor('message-status', status(conversationId, 'delivered', sent));
    assert.deepEqual(await resumed(ann, conversationId), ['delivered']);

    admin.emit('mark-read', { conversationId, seq: sent.seq });
    await ann.waitFor('message-status', status(conversationId, 'read', sent));
    assert.deepEqual(await resumed(ann, conversationId), ['read']);
    assert.deepEqual(await statuses(server, server.ann, server.admin), [['one', 'read']]);
    assert.deepEqual(admin.all('message-status'), [], 'a client that did not ask is sent nothing');
  });

  test('without a confirmation messages stay `sent`, and without a connected recipient `stored`', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await listen(server, server.ann), await server.signIn(server.admin)];
    const { conversationId } = await send(ann, server.admin, 'one');
    const two = await send(ann, server.admin, 'two');
    await ann.waitFor('message-status', ({ upTo }) => upTo === two.seq);
    await admin.roundTrip();
    assert.deepEqual(await resumed(ann, conversationId), ['sent', 'sent']);
    admin.close();
    await eventually(async () => {
      const { seq } = await send(ann, server.admin, 'is anybody there?');
      const all = await resumed(ann, conversationId);
      return all.at(-1) === 'stored' && seq;
    });
    assert.ok(ann.all('message-status').every(({ status }) => status === 'sent'));
  });

  test('a message that was not sent keeps later ones from advancing until it is fetched', async (t) => {
    const server = await start(t);
    const ann = await listen(server, server.ann);
    const one = await send(ann, server.admin, 'to nobody');
    const { conversationId } = one;
    // It is live without having caught up, and does not name what it has received.
    const admin = await server.connect('admin');
    await admin.ask('authenticate', { token: server.token(server.admin), catchUp: false });
    await admin.roundTrip();
    const two = await send(ann, server.admin, 'handed over');
    await admin.waitFor('receive-message', ({ seq }) => seq === two.seq);
    await admin.roundTrip();
    assert.deepEqual(await resumed(ann, conversationId), ['stored', 'stored']);
    await admin.ask('resume', { conversations: { [conversationId]: 0 } });
    await ann.waitFor('message-status', status(conversationId, 'delivered', two));
    assert.deepEqual(await resumed(ann, conversationId), ['delivered', 'delivered']);
  });

  test('a client cannot confirm messages that it was never sent', async (t) => {
    const server = await start(t);
    const [ann, admin, bob] = [
      await listen(server, server.ann), await server.signIn(server.admin), await server.signIn(server.bob),
    ];
    const one = await send(ann, server.admin, 'one');
    const { conversationId } = one;
    await admin.waitFor('receive-message');
    await admin.ask('received', { conversationId, seq: one.seq + 1000 });
    await ann.waitFor('message-status', status(conversationId, 'delivered', one));
    const two = await send(ann, server.admin, 'two');
    await ann.waitFor('message-status', status(conversationId, 'sent', two));
    assert.deepEqual(await resumed(ann, conversationId), ['delivered', 'sent']);
    assert.equal((await bob.ask('received', { conversationId, seq: 1 })).code, 'not_found');
    for (const payload of [null, 5, {}, { conversationId }, { conversationId, seq: -1 }, { conversationId: 'x', seq: 1 }]) {
      assert.equal((await admin.ask('received', payload)).code, 'invalid', JSON.stringify(payload));
    }
  });

  test('fetching the history marks messages as delivered and read', async (t) => {
    const server = await start(t);
    const ann = await listen(server, server.ann);
    const one = await send(ann, server.admin, 'one');
    assert.deepEqual(await statuses(server, server.ann, server.admin), [['one', 'stored']]);
    assert.deepEqual(await statuses(server, server.admin, server.ann), [['one', 'stored']], 'as it was before the reading');
    await ann.waitFor('message-status', status(one.conversationId, 'read', one));
    assert.deepEqual(await statuses(server, server.ann, server.admin), [['one', 'read']]);
  });

  test('receipts are the same after a restart, and continue from there', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await listen(server, server.ann), await server.signIn(server.admin)];
    const sent = [];
    for (const message of ['one', 'two', 'three']) sent.push(await send(ann, server.admin, message));
    const { conversationId } = sent[0];
    await admin.waitFor('receive-message', ({ seq }) => seq === sent[2].seq);
    admin.emit('mark-read', { conversationId, seq: sent[0].seq });
    await ann.waitFor('message-status', ({ status: name }) => name === 'read');
    await admin.ask('received', { conversationId, seq: sent[1].seq });
    await ann.waitFor('message-status', ({ status: name }) => name === 'delivered');
    for (const client of [ann, admin]) client.close();
    await server.restart();

    const expected = [['one', 'read'], ['two', 'delivered'], ['three', 'sent']];
    assert.deepEqual(await statuses(server, server.ann, server.admin), expected);
    const back = await listen(server, server.ann, 'ann, back');
    const four = await send(back, server.admin, 'four');
    assert.deepEqual(await resumed(back, conversationId), ['read', 'delivered', 'sent', 'stored']);
    const again = await server.signIn(server.admin, { name: 'admin, again' });
    await again.waitFor('receive-message', ({ seq }) => seq === four.seq);
    await back.waitFor('message-status', status(conversationId, 'sent', four));
    assert.deepEqual(back.all('message-status').filter(({ upTo }) => upTo < four.seq), [], 'nothing is sent again');
  });

  test('the status of an agent\'s message is sent to every agent\'s connection that asked for receipts', async (t) => {
    const server = await start(t);
    const [admin, second] = [await listen(server, server.admin), await listen(server, server.second)];
    const one = await send(admin, server.ann, 'how can I help?');
    await second.waitFor('receive-message');
    assert.deepEqual(await resumed(second, one.conversationId), ['stored'], 'colleagues are not the other side');
    const ann = await server.signIn(server.ann);
    await ann.waitFor('receive-message');
    for (const client of [admin, second]) {
      await client.waitFor('message-status', status(one.conversationId, 'sent', one));
    }
    await ann.ask('received', { conversationId: one.conversationId, seq: one.seq });
    for (const client of [admin, second]) {
      await client.waitFor('message-status', status(one.conversationId, 'delivered', one));
    }
    assert.deepEqual(ann.all('message-status'), []);
  });

  test('the status of many messages is reported together', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await listen(server, server.ann), await server.signIn(server.admin)];
    const count = 300;
    const sends = Array.from({ length: count }, (_, index) => send(ann, server.admin, `message ${index}`));
    const sent = await Promise.all(sends);
    const last = sent.at(-1);
    await ann.waitFor('message-status', status(last.conversationId, 'sent', last));
    await admin.roundTrip();
    const marks = ann.all('message-status').map(({ upTo }) => upTo);
    assert.ok(marks.length < count / 3, `${marks.length} for ${count} messages`);
    assert.deepEqual(marks, [...marks].sort((one, other) => one - other), 'forwards only');
  });
}
