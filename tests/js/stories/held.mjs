// Events that a stock client sends before it authenticates: it flushes its buffer before its `connect` listener runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';

export default function stories(start) {
  test('messages written while offline are stored, although they arrive before the token', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    ann.socket.disconnect();
    const texts = ['one', 'two', 'three'];
    for (const message of texts) ann.emit('send-message', { receiverId: server.admin.id, message });
    ann.socket.connect();
    for (const message of texts) await admin.waitFor('receive-message', (received) => received.message === message);
    for (const message of texts) await ann.waitFor('message-sent', (sent) => sent.message === message);
    assert.deepEqual(ann.all('error'), []);
    assert.deepEqual(ann.all('authenticated').map(({ success }) => success), [true, true]);
  });

  test('an acknowledgement waits for the token, and is a refusal if that is invalid', async (t) => {
    const server = await start(t);
    const client = await server.connect('late');
    const answers = Promise.all(['a', 'b'].map((message) => client.ask('send-message', { receiverId: server.admin.id, message })));
    client.emit('authenticate', server.token(server.ann));
    for (const answer of await answers) assert.equal(answer.ok, true, JSON.stringify(answer));

    const stranger = await server.connect('stranger');
    const refused = stranger.ask('send-message', { receiverId: server.admin.id, message: 'x' });
    stranger.emit('authenticate', 'x.y.z');
    assert.equal((await refused).code, 'unauthenticated');
  });

  test('a client that does not authenticate is refused after a while, and one that sends too much at once', async (t) => {
    const server = await start(t);
    const patient = await server.connect('patient');
    assert.equal((await patient.ask('send-message', { receiverId: server.admin.id, message: 'x' })).code, 'unauthenticated');
    const flood = await server.connect('flood');
    const from = Date.now();
    const answers = Array.from({ length: 300 }, () => flood.ask('send-message', { receiverId: server.admin.id, message: 'x' }));
    for (const answer of await Promise.all(answers)) assert.equal(answer.code, 'unauthenticated');
    assert.ok(Date.now() - from < 2000, 'more than may be held is not held');
  });
}
