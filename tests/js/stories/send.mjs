// `send-message`, `receive-message`, `message-sent`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertMessage, assertRising } from '../expect.mjs';

export default function stories(start) {
  test('a message is stored, delivered and confirmed, in exactly the specified shape', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    ann.emit('send-message', { receiverId: server.admin.id, message: '  Hello, I need help  ' });
    const received = await admin.waitFor('receive-message');
    const sent = await ann.waitFor('message-sent');
    assertMessage(received, { from: server.ann, to: server.admin, message: 'Hello, I need help' });
    assert.deepEqual(sent, received);
    const keys = ['_id', 'conversationId', 'createdAt', 'message', 'read', 'receiver', 'sender', 'seq'];
    assert.deepEqual(Object.keys(received).sort(), keys);

    const reply = await admin.send(server.ann, 'Hi');
    assertMessage(reply, { from: server.admin, to: server.ann, message: 'Hi' });
    assert.deepEqual(await ann.waitFor('receive-message'), reply);
    assert.equal(reply.conversationId, sent.conversationId);
    assertRising([sent.seq, reply.seq]);
    await admin.drain();
    await Promise.all([admin.nothingMore(), ann.nothingMore()]);
  });

  test('a message to oneself is received first and then confirmed', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const sent = await ann.send(server.ann, 'note to self');
    assertMessage(sent, { from: server.ann, to: server.ann, message: 'note to self' });
    assert.deepEqual(await ann.waitFor('receive-message'), sent);
    const names = ann.events.map((event) => event.name).filter((name) => name.includes('message'));
    assert.deepEqual(names, ['receive-message', 'message-sent']);
    await ann.nothingMore();
  });

  test('customers can write to each other, and nobody else gets these messages', async (t) => {
    const server = await start(t);
    const clients = await Promise.all([server.admin, server.ann, server.bob].map((account) => server.signIn(account)));
    const [admin, ann, bob] = clients;
    const sent = await ann.send(server.bob, 'psst');
    assertMessage(sent, { from: server.ann, to: server.bob, message: 'psst' });
    assert.deepEqual(await bob.waitFor('receive-message'), sent);
    await Promise.all(clients.map((client) => client.drain()));
    await Promise.all(clients.map((client) => client.nothingMore()));
    assert.deepEqual((await server.get('/api/chat/conversations', server.admin)).body, []);
    assert.ok(admin);
  });

  test('one clientMessageId in two conversations is two messages, and in each of them one', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const send = (to, message) =>
      admin.socket.emitWithAck('send-message', { receiverId: to.id, message, clientMessageId: 'same' });
    const [first, second] = [await send(server.ann, 'to Ann'), await send(server.bob, 'to Bob')];
    assert.ok(first.ok && second.ok, JSON.stringify([first, second]));
    assert.notEqual(first.conversationId, second.conversationId);
    assert.deepEqual([await send(server.ann, 'again'), await send(server.bob, 'again')], [first, second]);
  });

  test('agents can write to each other', async (t) => {
    const server = await start(t);
    const [admin, second] = [await server.signIn(server.admin), await server.signIn(server.second)];
    const sent = await second.send(server.admin, 'lunch?');
    assertMessage(sent, { from: server.second, to: server.admin, message: 'lunch?' });
    assert.deepEqual(await admin.waitFor('receive-message'), sent);
    const { body } = await server.get('/api/chat/conversations', server.admin);
    assert.deepEqual(body.map(({ userId, lastMessage }) => [userId, lastMessage]), [[server.second.id, 'lunch?']]);
  });

  test('all clients of a conversation get its messages in the same order, even if everybody writes at once', async (t) => {
    const server = await start(t);
    const [ann, tab] = [await server.signIn(server.ann), await server.signIn(server.ann, { name: 'ann, tab 2' })];
    const [admin, second] = [await server.signIn(server.admin), await server.signIn(server.second)];
    const count = 15;
    for (let index = 0; index < count; index += 1) {
      ann.emit('send-message', { receiverId: server.admin.id, message: `ann ${index}` });
      tab.emit('send-message', { receiverId: server.admin.id, message: `tab ${index}` });
      admin.emit('send-message', { receiverId: server.ann.id, message: `admin ${index}` });
      second.emit('send-message', { receiverId: server.ann.id, message: `second ${index}` });
    }
    const received = (client) => client.events
      .filter((event) => ['receive-message', 'message-sent'].includes(event.name))
      .map((event) => event.args[0]);
    for (const client of [ann, tab, admin, second]) {
      for (const name of ['ann', 'tab', 'admin', 'second']) {
        const last = (message) => message.message === `${name} ${count - 1}`;
        if (!received(client).some(last)) {
          await Promise.any(['receive-message', 'message-sent'].map((event) => client.waitFor(event, last)));
        }
      }
    }
    for (const client of [ann, tab, admin, second]) {
      const messages = received(client);
      assert.equal(messages.length, 4 * count, client.name);
      assertRising(messages.map((message) => message.seq));
      for (const name of ['ann', 'tab', 'admin', 'second']) {
        const own = messages.map((message) => message.message).filter((message) => message.startsWith(`${name} `));
        assert.deepEqual(own, Array.from({ length: count }, (_, index) => `${name} ${index}`));
      }
    }
  });

  test('texts are delivered unchanged', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    const texts = ['日本語 🎉 é', '<script>alert(1)</script>', '"quotes" \\ and \n lines', 'a'.repeat(20_000), 'a\u2028b', '0'];
    for (const text of texts) {
      await ann.send(server.admin, text);
      await admin.waitFor('receive-message', (received) => received.message === text);
    }
    const history = await server.get(`/api/chat/messages/${server.ann.id}`, server.admin);
    assert.deepEqual(history.body.map((stored) => stored.message), texts);
  });

  const NOT_SENT = 'Failed to send message';
  const BLANK = 'Message validation failed: message: Path `message` is required.';
  const refusals = {
    'no receiver': [{ message: 'x' }, 'Receiver ID and message are required', undefined],
    'no message': [{ receiverId: 'ADMIN' }, 'Receiver ID and message are required', undefined],
    'an empty message': [{ receiverId: 'ADMIN', message: '' }, 'Receiver ID and message are required', undefined],
    'null for both': [{ receiverId: null, message: null }, 'Receiver ID and message are required', undefined],
    'blanks only': [{ receiverId: 'ADMIN', message: ' \n\t ' }, NOT_SENT, BLANK],
    'a malformed id': [{ receiverId: 'not-an-id', message: 'x' }, NOT_SENT],
    'an operator as id': [{ receiverId: { $ne: null }, message: 'x' }, NOT_SENT],
    'an id of nobody': [{ receiverId: '0123456789abcdef01234567', message: 'x' }, NOT_SENT],
    'a number as message': [{ receiverId: 'ADMIN', message: 5 }, NOT_SENT],
    'an object as message': [{ receiverId: 'ADMIN', message: { text: 'x' } }, NOT_SENT],
    'a message that is too long': [{ receiverId: 'ADMIN', message: 'x'.repeat(1_000_001) }, NOT_SENT],
    'a NUL': [{ receiverId: 'ADMIN', message: 'a\0b' }, NOT_SENT],
    'a text as payload': ['x', NOT_SENT],
    'no payload': [undefined, NOT_SENT],
  };

  test('invalid messages are refused with the specified errors, and store nothing', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    for (const [what, [payload, message, error]] of Object.entries(refusals)) {
      const filled = payload?.receiverId === 'ADMIN' ? { ...payload, receiverId: server.admin.id } : payload;
      ann.emit('send-message', ...(filled === undefined ? [] : [filled]));
      const refused = await ann.waitFor('error');
      assert.equal(refused.message, message, what);
      if (message === NOT_SENT) assert.equal(typeof refused.error, 'string', what);
      else assert.ok(!('error' in refused), what);
      if (error) assert.equal(refused.error, error, what);
      assert.equal(typeof refused.code, 'string', what);
      assert.doesNotMatch(JSON.stringify(refused), /undefined|null|ObjectId|sql|panick|src\//i, what);
    }
    await admin.drain();
    await ann.drain();
    await Promise.all([admin.nothingMore(), ann.nothingMore()]);
    assert.deepEqual((await server.get('/api/chat/conversations', server.admin)).body, []);
    assert.deepEqual((await server.get(`/api/chat/messages/${server.admin.id}`, server.ann)).body, []);
    assert.deepEqual((await server.get('/api/chat/messages/0123456789abcdef01234567', server.ann)).body, []);
  });

  test('an unauthenticated client is refused, and reminded to authenticate', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const anon = await server.connect('anon');
    anon.emit('send-message', { receiverId: server.admin.id, message: 'x' });
    assert.equal((await anon.waitFor('error')).message, 'Not authenticated');
    assert.equal((await anon.waitFor('authenticated')).success, false);
    await Promise.all([admin.nothingMore(), anon.nothingMore()]);
  });

  test('a client that sends too fast is rate limited, and loses no accepted message', async (t) => {
    const server = await start(t, '--send-rate', '1');
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    for (let index = 0; index < 15; index += 1) {
      ann.emit('send-message', { receiverId: server.admin.id, message: `${index}` });
    }
    const refused = await ann.waitFor('error');
    assert.equal(refused.message, NOT_SENT);
    assert.equal(refused.code, 'rate_limited');
    assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 1000);
    await admin.waitFor('receive-message', (received) => received.message === '9');
    assert.ok(ann.socket.connected);
    const received = admin.all('receive-message').map((message) => message.message);
    assert.deepEqual(received.slice(0, 10), Array.from({ length: 10 }, (_, index) => `${index}`));
    await admin.send(server.ann, 'others may go on');
  });
}
