// How the bytes get here and there.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../expect.mjs';

export default function stories(start, transports) {
  test('the client talks over the transport that it was told to', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    assert.equal(ann.engine.transport.name, transports.at(-1));
    const upgrades = ann.engine.transport.name === 'websocket' && transports[0] === 'polling';
    assert.equal(upgrades, transports.length > 1);
  });

  test('nothing is lost, doubled or disordered while it connects, upgrades and talks', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const ann = await server.connect('ann', { reconnection: false });
    ann.close();
    const early = await server.connect('ann');
    // Not waiting for anything: the first messages go out while it authenticates and perhaps upgrades.
    early.emit('authenticate', server.token(server.ann));
    const texts = Array.from({ length: 40 }, (_, index) => `message ${index}`);
    for (const message of texts) early.emit('send-message', { receiverId: server.admin.id, message });
    await early.waitFor('message-sent', (sent) => sent.message === texts.at(-1));
    await admin.waitFor('receive-message', (received) => received.message === texts.at(-1));
    assert.deepEqual(early.all('message-sent').map((sent) => sent.message), texts);
    assert.deepEqual(admin.all('receive-message').map((received) => received.message), texts);
    const history = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.deepEqual(history.body.map((kept) => kept.message), texts);
  });

  test('who reads no more is cut off, comes back and misses nothing', { skip: transports.at(-1) === 'polling' }, async (t) => {
    const server = await start(t, '--send-rate', '0');
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    const line = ann.engine.transport.ws._socket;
    line.pause();
    // More than the system takes for her and the server keeps, and fewer than it keeps of short ones.
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
    const heard = new Set(ann.all('receive-message').map((received) => received.seq));
    assert.deepEqual([...heard], Array.from({ length: 400 }, (_, index) => index + 1));
  });

  test('the handshake tells the parameters of the replaced server', async (t) => {
    const server = await start(t);
    const { body } = await server.rest('GET', '/socket.io/?EIO=4&transport=polling');
    const { sid, ...rest } = JSON.parse(body.slice(1));
    assert.equal(body[0], '0');
    assert.equal(typeof sid, 'string');
    // More than the 1 000 000 bytes of old: what is a little too long is refused, and not the connection.
    assert.deepEqual(rest, { upgrades: ['websocket'], pingInterval: 25000, pingTimeout: 20000, maxPayload: 2 << 20 });
  });
}
