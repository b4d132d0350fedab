// Catching up, for clients that cannot name what they have received.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertMessage } from '../expect.mjs';
import { Network } from '../network.mjs';

export default function stories(start) {
  const received = (client) => client.all('receive-message').map(({ message }) => message);
  const gone = async (agent, account, ...clients) => {
    clients.forEach((client) => client.close());
    await agent.waitFor('user-offline', { userId: account.id });
  };

  test('messages that a customer missed arrive after they authenticate: once, in order, as if they were live', async (t) => {
    const server = await start(t);
    const [admin, second] = [await server.signIn(server.admin), await server.signIn(server.second)];
    await admin.send(server.ann, 'one');
    await second.send(server.ann, 'two');
    await admin.send(server.ann, 'three');
    const ann = await server.signIn(server.ann);
    assert.deepEqual(received(ann), ['one', 'two', 'three']);
    const names = ann.events.map((event) => event.name);
    assert.ok(names.indexOf('authenticated') < names.indexOf('receive-message'));
    for (const message of received(ann)) {
      const received = await ann.waitFor('receive-message');
      // The desk has one identity for her, whoever wrote.
      assertMessage(received, { from: server.admin, to: server.ann, message });
    }
    await admin.send(server.ann, 'four');
    await ann.waitFor('receive-message', (received) => received.message === 'four');
    const again = await server.signIn(server.ann, { name: 'ann, again' });
    await ann.drain();
    await Promise.all([ann.nothingMore(), again.nothingMore()]);
  });

  test('messages that an agent missed arrive, and so do those between customers', async (t) => {
    const server = await start(t);
    const [ann, bob] = [await server.signIn(server.ann), await server.signIn(server.bob)];
    await ann.send(server.admin, 'from ann');
    await bob.send(server.admin, 'from bob');
    await ann.send(server.bob, 'psst');
    for (const account of [server.admin, server.second]) {
      const agent = await server.signIn(account);
      assert.deepEqual(received(agent).sort(), ['from ann', 'from bob']);
      for (const from of [server.ann, server.bob]) {
        const message = `from ${from.key}`;
        assertMessage(await agent.waitFor('receive-message', (m) => m.message === message), { from, to: account, message });
      }
      await agent.nothingMore();
    }
  });

  test('messages fetched with the history are not sent again', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    await admin.send(server.ann, 'one');
    const history = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.deepEqual(history.body.map((stored) => stored.message), ['one']);
    await admin.send(server.ann, 'two');
    const ann = await server.signIn(server.ann);
    assert.deepEqual(received(ann), ['two']);
  });

  test('messages received live are not sent again to a client that reconnects', async (t) => {
    const server = await start(t, '--ping-interval', '150ms');
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    await admin.send(server.ann, 'one');
    await ann.waitFor('receive-message');
    await ann.settle();
    ann.emit('mark-read', { senderId: server.admin.id });
    await admin.waitFor('messages-read');
    await ann.drop();
    await admin.send(server.ann, 'two');
    await ann.waitFor('<connect>');
    await ann.waitFor('authenticated');
    await ann.waitFor('receive-message', (received) => received.message === 'two');
    await ann.roundTrip();
    assert.deepEqual(received(ann), ['one', 'two']);
  });

  test('messages received live are not sent again to a client that only answered pings', async (t) => {
    const server = await start(t, '--ping-interval', '300ms', '--ping-timeout', '2s');
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    await admin.send(server.ann, 'one');
    await ann.waitFor('receive-message');
    // Long enough for the pongs to prove that everything has arrived.
    await ann.heartbeats(10);
    await ann.drop();
    await ann.waitFor('<connect>');
    await ann.waitFor('authenticated');
    await ann.roundTrip();
    assert.deepEqual(received(ann), ['one']);
  });

  test('messages received live are not sent again to a client that authenticates while its transport changes', async (t) => {
    const server = await start(t, '--ping-interval', '300ms', '--ping-timeout', '2s');
    const admin = await server.signIn(server.admin);
    const ann = server.client('ann');
    await ann.waitFor('<connect>');
    await ann.signIn(server.token(server.ann));
    await admin.send(server.ann, 'one');
    await ann.waitFor('receive-message');
    await ann.heartbeats(10);
    await ann.drop();
    await ann.waitFor('<connect>');
    await ann.waitFor('authenticated');
    await ann.roundTrip();
    assert.deepEqual(received(ann), ['one']);
  });

  test('own messages are not sent again', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    await server.rest('POST', '/api/chat/send', { as: server.ann, body: { receiverId: server.admin.id, message: 'rest' } });
    await ann.waitFor('message-sent');
    await ann.drop();
    await server.rest('POST', '/api/chat/send', { as: server.ann, body: { receiverId: server.admin.id, message: 'away' } });
    await ann.waitFor('<connect>');
    await ann.waitFor('authenticated');
    await ann.roundTrip();
    assert.deepEqual(received(ann), []);
  });

  test('many missed messages arrive in order', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const texts = Array.from({ length: 450 }, (_, index) => `message ${index}`);
    for (const message of texts) admin.emit('send-message', { receiverId: server.ann.id, message });
    await admin.waitFor('message-sent', (sent) => sent.message === texts.at(-1));
    const ann = await server.connect('ann');
    ann.emit('authenticate', server.token(server.ann));
    // Live messages follow the missed ones.
    admin.emit('send-message', { receiverId: server.ann.id, message: 'live' });
    await ann.waitFor('receive-message', (received) => received.message === 'live');
    assert.deepEqual(received(ann), [...texts, 'live']);
  });

  test('a restarted server still knows who missed what', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    await admin.send(server.ann, 'one');
    await ann.waitFor('receive-message');
    await ann.settle();
    ann.emit('mark-read', { senderId: server.admin.id });
    await admin.waitFor('messages-read');
    await gone(admin, server.ann, ann);
    await admin.send(server.ann, 'two');
    await admin.send(server.ann, 'three');
    await server.restart();
    await admin.waitFor('<connect>');
    await admin.waitFor('authenticated');
    const back = await server.signIn(server.ann, { name: 'ann, back' });
    assert.deepEqual(received(back), ['two', 'three']);
    const again = await server.signIn(server.ann, { name: 'ann, again' });
    assert.deepEqual(received(again), []);
    assert.deepEqual(received(admin), []);
  });

  test('after a restart, messages received before are not sent again', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    await admin.send(server.ann, 'one');
    await ann.waitFor('receive-message');
    // A server that stops pings its websockets and waits for the pongs. Nothing proves that the last response to a poll has arrived.
    if (ann.socket.io.engine.transport.name === 'polling') await ann.settle();
    await server.restart();
    await ann.waitFor('<connect>');
    await ann.waitFor('authenticated');
    await ann.roundTrip();
    assert.deepEqual(received(ann), ['one']);
  });

  test('after a crash no acknowledged message is missing', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const texts = Array.from({ length: 20 }, (_, index) => `message ${index}`);
    for (const message of texts) await admin.send(server.ann, message);
    await server.crash();
    const ann = await server.signIn(server.ann);
    assert.deepEqual(received(ann), texts);
    const history = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.deepEqual(history.body.map((stored) => stored.message), texts);
  });

  test('no message is lost between two connections', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    // Like the frontend, it does not reconnect at once.
    const ann = await server.signIn(server.ann, { reconnectionDelay: 400 });
    const texts = [];
    for (let round = 0; round < 6; round += 1) {
      for (let part = 0; part < 3; part += 1) {
        texts.push(`${round}.${part}`);
        admin.emit('send-message', { receiverId: server.ann.id, message: texts.at(-1) });
        // The message is in flight while the connection ends.
        if (part === 1 && round % 2 === 0) ann.engine.close();
        if (part === 1 && round % 2 === 1) {
          ann.socket.disconnect();
          setTimeout(() => ann.socket.connect(), 400);
        }
      }
      await ann.waitFor('<connect>');
      await ann.waitFor('authenticated');
    }
    const last = texts.at(-1);
    if (!received(ann).includes(last)) await ann.waitFor('receive-message', ({ message }) => message === last);
    // The server may notice the end of the old connection only after the new one has opened, which then gets the lost
    // messages late.
    const isMissing = () => texts.find((text) => !received(ann).includes(text));
    for (let text = isMissing(); text; text = isMissing()) {
      const missing = text;
      await ann.waitFor('receive-message', (received) => received.message === missing);
    }
    const extra = received(ann).filter((text) => !texts.includes(text));
    assert.deepEqual(extra, [], 'what was on the way when a connection ended may come twice, and nothing else');
  });

  test('a client that reconnects over another network gets the messages sent to its dead connection', async (t) => {
    const server = await start(t, '--ping-interval', '1s', '--ping-timeout', '2s');
    const network = await Network.open(t, server.url);
    const admin = await server.signIn(server.admin);
    const ann = await server.signIn(server.ann, { url: network.url, reconnection: false });
    network.fail();
    await admin.send(server.ann, 'into the void');
    const back = await server.signIn(server.ann, { name: 'ann, on another network' });
    if (!received(back).includes('into the void')) await back.waitFor('receive-message');
    assert.deepEqual(received(back), ['into the void']);
    assert.deepEqual(received(ann), []);
  });

  test('messages sent to a dead connection arrive on the next one, if that opens after the death was detected', async (t) => {
    const server = await start(t, '--ping-interval', '1s', '--ping-timeout', '2s');
    const network = await Network.open(t, server.url);
    const admin = await server.signIn(server.admin);
    await server.signIn(server.ann, { url: network.url, reconnection: false });
    network.fail();
    await admin.send(server.ann, 'into the void');
    await admin.waitFor('user-offline', { userId: server.ann.id });
    const back = await server.signIn(server.ann, { name: 'ann, back' });
    assert.deepEqual(received(back), ['into the void']);
  });

  test('a dead connection is detected soon after the next one has opened, which gets the messages sent to it', async (t) => {
    const server = await start(t);
    const network = await Network.open(t, server.url);
    const admin = await server.signIn(server.admin);
    const ann = await server.signIn(server.ann, { url: network.url, reconnection: false });
    // A polling client cannot be pinged at will.
    if (ann.socket.io.engine.transport.name === 'polling') return;
    network.fail();
    await admin.send(server.ann, 'into the void');
    const back = await server.signIn(server.ann, { name: 'ann, on another network' });
    // Without a ping it would be detected after 45 s only.
    const began = Date.now();
    if (!received(back).includes('into the void')) await back.waitFor('receive-message');
    assert.ok(Date.now() - began < 30_000);
    await back.roundTrip();
    assert.deepEqual(received(back), ['into the void']);
  });

  test('a tab that lost its connection gets messages that another tab got meanwhile, once', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const ann = await server.signIn(server.ann, { reconnectionDelay: 500 });
    const tab = await server.signIn(server.ann, { name: 'ann, tab 2' });
    await ann.drop();
    await admin.send(server.ann, 'meanwhile');
    await tab.waitFor('receive-message');
    await tab.settle();
    await tab.roundTrip();
    await ann.waitFor('<connect>');
    await ann.waitFor('authenticated');
    await admin.send(server.ann, 'after that');
    for (const client of [ann, tab]) {
      await client.waitFor('receive-message', (received) => received.message === 'after that');
      await client.roundTrip();
      assert.deepEqual(received(client), ['meanwhile', 'after that'], client.name);
    }
  });
}
