// Transports.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../expect.mjs';

export default function stories(start, transports) {
  test('the client uses the configured transport', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    assert.equal(ann.engine.transport.name, transports.at(-1));
    const upgrades = ann.engine.transport.name === 'websocket' && transports[0] === 'polling';
    assert.equal(upgrades, transports.length > 1);
  });

  test('nothing is lost, duplicated or reordered while it connects, upgrades and sends', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const ann = await server.connect('ann', { reconnection: false });
    ann.close();
    const early = await server.connect('ann');
    // It does not wait: the first messages are sent while it authenticates and perhaps upgrades.
    early.emit('authenticate', server.token(server.ann));
    const texts = Array.from({ length: 40 }, (_, index) => `message ${index}`);
    for (const message of texts) early.emit('send-message', { receiverId: server.admin.id, message });
    await early.waitFor('message-sent', (sent) => sent.message === texts.at(-1));
    await admin.waitFor('receive-message', (received) => received.message === texts.at(-1));
    assert.deepEqual(early.all('message-sent').map((sent) => sent.message), texts);
    assert.deepEqual(admin.all('receive-message').map(({ message }) => message), texts);
    const history = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.deepEqual(history.body.map((stored) => stored.message), texts);
  });

  const skip = transports.at(-1) === 'polling';
  test('a client that stops reading is disconnected, reconnects and misses nothing', { skip }, async (t) => {
    const server = await start(t, '--send-rate', '0');
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    const line = ann.engine.transport.ws._socket;
    line.pause();
    // More bytes than the system and the server buffer for her, but fewer messages than the server queues.
    const texts = Array.from({ length: 400 }, (_, index) => `${index} ${'€'.repeat(8000)}`);
    while (texts.length) {
      const some = texts.splice(0, 30);
      await Promise.all(some.map((message) => admin.send(server.ann, message)));
    }
    await eventually(() => server.log.includes('Closed a connection that reads too slowly'));
    line.resume();
    await ann.waitFor('<disconnect>');
    const last = (received) => received.message.startsWith('399 ');
    await ann.waitFor('receive-message', last);
    const received = new Set(ann.all('receive-message').map(({ seq }) => seq));
    assert.deepEqual([...received], Array.from({ length: 400 }, (_, index) => index + 1));
  });

  test('the handshake has the parameters of the replaced server', async (t) => {
    const server = await start(t);
    const { body } = await server.rest('GET', '/socket.io/?EIO=4&transport=polling');
    const { sid, ...rest } = JSON.parse(body.slice(1));
    assert.equal(body[0], '0');
    assert.equal(typeof sid, 'string');
    // More than the 1 000 000 bytes of the replaced server, so that a message that is slightly too long does not close
    // the connection.
    assert.deepEqual(rest, { upgrades: ['websocket'], pingInterval: 25000, pingTimeout: 20000, maxPayload: 2 << 20 });
  });
}
