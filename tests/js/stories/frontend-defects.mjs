// Defects of the unchanged frontend that the server has to tolerate.

import assert from 'node:assert/strict';
import { test } from 'node:test';

export default function stories(start) {
  test('defect A: the first requests of the chat screen send `authenticated` to the open sockets again', async (t) => {
    const server = await start(t);
    const tabs = [await server.signIn(server.ann), await server.signIn(server.ann, { name: 'ann, tab 2' })];
    const admin = await server.signIn(server.admin);
    const yes = ({ id: userId, role }) => ({ success: true, userId, role });
    await server.get('/api/chat/admin', server.ann);
    for (const tab of tabs) await tab.waitFor('authenticated', yes(server.ann));
    await server.get('/api/chat/conversations', server.admin);
    await admin.waitFor('authenticated', yes(server.admin));
    // That the desk is online is sent again when the page can use it.
    for (const tab of tabs) await tab.waitFor('user-online', { userId: server.admin.id });
    // A socket without rights does not get `authenticated`.
    admin.emit('authenticate', 'x.y.z');
    await admin.waitFor('authenticated', ({ success }) => !success);
    await server.get('/api/chat/conversations', server.admin);
    await admin.drain();
    await admin.nothingMore(300);
  });

  test('defect B: a client that reconnected and sends nothing is reminded', async (t) => {
    const server = await start(t, '--silence', '1500ms');
    const broken = await server.connect('broken');
    await broken.waitFor('authenticated', ({ success }) => success === false);
    // Only once, after the allowed time.
    await broken.nothingMore(3500);
    assert.ok(broken.socket.connected);
    const ann = await server.signIn(server.ann);
    await ann.nothingMore(3500);
  });

  test('defect B: messages of such a client are refused with an error', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    ann.socket.off('connect');
    ann.socket.on('connect', () => ann.emit('send-message', { receiverId: server.admin.id, message: 'lost?' }));
    await ann.drop();
    assert.equal((await ann.waitFor('error')).message, 'Not authenticated');
    assert.equal((await ann.waitFor('authenticated')).success, false);
    // A client without the defect authenticates two seconds later, and can continue.
    ann.emit('authenticate', server.token(server.ann));
    await ann.waitFor('authenticated', ({ success }) => success);
    assert.ok((await ann.send(server.admin, 'not lost'))._id);
  });

  test('defect C: an invalid token can be retried without limit', async (t) => {
    const server = await start(t);
    const client = await server.connect('stubborn');
    for (let tries = 0; tries < 45; tries += 1) {
      client.emit('authenticate', 'x.y.z');
      await client.waitFor('authenticated', { success: false, message: 'Invalid token' });
    }
    assert.deepEqual(client.all('<disconnect>'), []);
    client.emit('authenticate', server.token(server.ann));
    await client.waitFor('authenticated', ({ success }) => success);
  });

  test('defect D: each socket receives a message once, and a history that is fetched meanwhile does not repeat it', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const tabs = [await server.signIn(server.ann), await server.signIn(server.ann, { name: 'ann, tab 2' })];
    for (let round = 0; round < 10; round += 1) {
      await Promise.all([
        admin.send(server.ann, `message ${round}`),
        server.get(`/api/chat/messages/${server.admin.id}`, server.ann),
        tabs[0].ask('authenticate', server.token(server.ann)),
      ]);
    }
    await Promise.all(tabs.map((tab) => tab.roundTrip()));
    const expected = Array.from({ length: 10 }, (_, round) => `message ${round}`);
    for (const tab of tabs) {
      const received = tab.all('receive-message').map(({ message }) => message);
      assert.deepEqual(received, [...new Set(received)], 'no message twice');
      // A message that the history returned first need not be sent again, so the tab may have received it that way.
      if (tab === tabs[1]) assert.deepEqual(received, expected);
    }
  });

  test('defect E: other tabs get sent messages: a customer\'s as `message-sent`, an agent\'s as `receive-message`', async (t) => {
    const server = await start(t);
    const [ann, annTab] = [await server.signIn(server.ann), await server.signIn(server.ann, { name: 'ann, tab 2' })];
    const admin = await server.signIn(server.admin);
    const adminTab = await server.signIn(server.admin, { name: 'admin, tab 2' });
    const clients = [ann, annTab, admin, adminTab];
    await Promise.all(clients.map((client) => client.drain()));
    const asked = await ann.send(server.admin, 'question');
    assert.deepEqual(await annTab.waitFor('message-sent'), asked);
    for (const client of [admin, adminTab]) assert.deepEqual(await client.waitFor('receive-message'), asked);
    const answered = await admin.send(server.ann, 'answer');
    assert.deepEqual(await adminTab.waitFor('receive-message'), answered);
    for (const client of [ann, annTab]) assert.deepEqual(await client.waitFor('receive-message'), answered);
    await Promise.all(clients.map((client) => client.nothingMore()));
  });

  test('defect F: the list is fast, however many messages there are, and preflights are cached', async (t) => {
    // Requested alternately, so that a busy machine slows down both.
    const [server, other] = [await start(t), await start(t)];
    const list = async (asked, last) => {
      const from = performance.now();
      const { body } = await asked.get('/api/chat/conversations', asked.admin);
      assert.equal(body[0].lastMessage, last);
      return performance.now() - from;
    };
    await (await other.signIn(other.ann)).send(other.admin, 'the only one');
    const ann = await server.signIn(server.ann);
    for (let index = 0; index < 500; index += 1) {
      ann.emit('send-message', { receiverId: server.admin.id, message: `${index}` });
    }
    await ann.waitFor('message-sent', (sent) => sent.message === '499');
    const [long, short] = [[], []];
    for (let round = 0; round < 20; round += 1) {
      long.push(await list(server, '499'));
      short.push(await list(other, 'the only one'));
    }
    const [after500, after1] = [Math.min(...long), Math.min(...short)];
    assert.ok(after500 < 3 * after1 + 10, `${after500} ms after 500 messages, ${after1} ms after one`);
    const asked = { origin: 'http://localhost:5173', 'access-control-request-method': 'GET' };
    const preflight = await server.rest('OPTIONS', '/api/chat/conversations', { headers: asked });
    assert.ok(Number(preflight.headers.get('access-control-max-age')) >= 600);
  });

  test('defect G: presence is sent when the list can have been rendered', async (t) => {
    const server = await start(t);
    await server.signIn(server.ann);
    const admin = await server.signIn(server.admin);
    const { status } = await server.get('/api/chat/conversations', server.admin);
    assert.equal(status, 200);
    assert.deepEqual(admin.takeAll('user-online'), [], 'not before the list is there');
    await admin.waitFor('user-online', { userId: server.ann.id });
  });

  test('defect H: names and addresses are always strings', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const sent = await ann.send(server.admin, 'hello');
    await ann.send(server.bob, 'hello');
    await server.rest('DELETE', `/api/admin/deleteuser/${server.bob.id}`, { as: server.admin });
    const people = [
      sent.sender,
      sent.receiver,
      (await server.get('/api/chat/admin', server.ann)).body,
      ...(await server.get('/api/chat/conversations', server.admin)).body,
    ];
    for (const other of [server.admin, server.bob]) {
      const { body } = await server.get(`/api/chat/messages/${other.id}`, server.ann);
      people.push(...body.flatMap((stored) => [stored.sender, stored.receiver]));
    }
    assert.ok(people.length >= 6);
    for (const person of people) {
      for (const field of ['_id', 'name', 'email']) assert.equal(typeof person[field], 'string');
      assert.match(person._id, /^[0-9a-f]{24}$/);
    }
  });
}
