// Bugs of the replaced server that Deskline does not have.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { shown } from '../expect.mjs';

export default function stories(start) {
  test('bug 1: typing without a payload is ignored', async (t) => {
    const server = await start(t);
    const [anon, ann] = [await server.connect('anon'), await server.signIn(server.ann)];
    for (const client of [anon, ann]) {
      client.emit('typing');
      client.emit('stop-typing');
      await client.nothingMore();
    }
    assert.ok(server.isRunning);
    assert.equal((await server.get('/health')).body.status, 'ok');
  });

  test('bug 2: every tab gets the events of its person', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const tabs = [await server.signIn(server.ann), await server.signIn(server.ann, { name: 'ann, tab 2' })];
    const sent = await admin.send(server.ann, 'which tab?');
    for (const tab of tabs) assert.deepEqual(await tab.waitFor('receive-message'), sent);
  });

  test('bug 3: closing one of two tabs changes nothing', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    const tab = await server.signIn(server.ann, { name: 'ann, tab 2' });
    await admin.drain();
    tab.close();
    await admin.nothingMore(600);
    await admin.send(server.ann, 'are you there?');
    await ann.waitFor('receive-message', (received) => received.message === 'are you there?');
  });

  test('bug 4: a socket that authenticates as another person gets no events of the first one', async (t) => {
    const server = await start(t);
    const [admin, client] = [await server.signIn(server.admin), await server.signIn(server.bob)];
    client.emit('authenticate', server.token(server.ann));
    await client.waitFor('authenticated', ({ userId }) => userId === server.ann.id);
    await client.roundTrip();
    await client.drain();
    await admin.send(server.bob, 'for bob only');
    await client.nothingMore();
  });

  test('bug 5: unauthenticated clients get no presence, and an agent who connects late gets it', async (t) => {
    const server = await start(t);
    const anon = await server.connect('anon');
    await server.signIn(server.ann);
    const admin = await server.connect('admin');
    admin.emit('authenticate', server.token(server.admin));
    await admin.waitFor('user-online', { userId: server.ann.id });
    await anon.nothingMore();
  });

  test('bug 6: messages missed while disconnected arrive after the reconnect', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    await ann.drop();
    await admin.send(server.ann, 'did you see this?');
    await ann.waitFor('<connect>');
    await ann.waitFor('receive-message', (received) => received.message === 'did you see this?');
  });

  test('bug 7: a blocked account loses its rights, also on its open socket', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const body = { status: 'Blocked' };
    await server.rest('PUT', `/api/admin/updateuser/${server.ann.id}`, { as: server.admin, body });
    await ann.waitFor('authenticated', ({ success }) => !success);
    ann.emit('send-message', { receiverId: server.admin.id, message: 'still here' });
    assert.equal((await ann.waitFor('error')).message, 'Not authenticated');
  });

  test('bug 8: a message to an unknown recipient is not stored', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const nobody = '0123456789abcdef01234567';
    ann.emit('send-message', { receiverId: nobody, message: 'ghost' });
    assert.equal((await ann.waitFor('error')).message, 'Failed to send message');
    assert.deepEqual((await server.get(`/api/chat/messages/${nobody}`, server.ann)).body, []);
  });

  test('bug 9: messages of a deleted account are shown to nobody', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    await ann.send(server.admin, 'remember me');
    await ann.send(server.bob, 'you too');
    await server.rest('DELETE', `/api/admin/deleteuser/${server.ann.id}`, { as: server.admin });
    for (const reader of [server.admin, server.bob]) {
      const { status, body } = await server.get(`/api/chat/messages/${server.ann.id}`, reader);
      assert.deepEqual([status, body], [200, []]);
    }
    assert.deepEqual((await server.get('/api/chat/conversations', server.admin)).body, []);
  });

  test('bug 10: the desk has one identity, whichever agent answers', async (t) => {
    const server = await start(t);
    const [admin, second] = [await server.signIn(server.admin), await server.signIn(server.second)];
    const ann = await server.signIn(server.ann);
    await ann.send(server.admin, 'help!');
    for (const agent of [admin, second]) {
      const account = agent === admin ? server.admin : server.second;
      const received = await agent.waitFor('receive-message');
      // An agent's client shows messages to its own id, by which it distinguishes the two sides.
      assert.deepEqual([received.sender._id, received.receiver._id], [server.ann.id, account.id]);
      const { body } = await server.get('/api/chat/conversations', account);
      assert.deepEqual(body.map((line) => [line.userId, line.unreadCount]), [[server.ann.id, 1]]);
    }
    const sent = await second.send(server.ann, 'coming');
    assert.deepEqual([sent.sender._id, sent.receiver._id], [server.second.id, server.ann.id]);
    const reply = await ann.waitFor('receive-message');
    // The customer's client drops messages that are not from the id that `/admin` returned.
    assert.deepEqual(reply.sender, shown(server.admin));
    const mirrored = await admin.waitFor('receive-message', (received) => received.message === 'coming');
    assert.deepEqual([mirrored.sender._id, mirrored.sender.name], [server.admin.id, 'Second']);
    const seen = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.deepEqual(seen.body.map((stored) => stored.sender._id), [server.ann.id, server.admin.id]);
    const theirs = await server.get(`/api/chat/messages/${server.ann.id}`, server.second);
    assert.deepEqual(theirs.body.map((stored) => stored.sender._id), [server.ann.id, server.second.id]);
  });

  test('bug 11: a REST send is published, read marks that change nothing are not, and internal errors are not exposed', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    const tab = await server.signIn(server.admin, { name: 'admin, tab 2' });
    await Promise.all([admin, ann, tab].map((client) => client.drain()));
    const body = { receiverId: server.admin.id, message: ' via rest ' };
    const created = await server.rest('POST', '/api/chat/send', { as: server.ann, body });
    for (const client of [admin, tab]) {
      const received = await client.waitFor('receive-message');
      assert.deepEqual([received._id, received.message], [created.body._id, 'via rest']);
    }
    assert.equal((await ann.waitFor('message-sent'))._id, created.body._id);
    admin.emit('mark-read', { senderId: server.ann.id });
    await ann.waitFor('messages-read');
    await tab.waitFor('messages-read');
    for (let times = 0; times < 3; times += 1) await admin.ask('mark-read', { senderId: server.ann.id });
    await Promise.all([admin, ann, tab].map((client) => client.nothingMore()));
    ann.emit('send-message', { receiverId: server.admin.id, message: 5 });
    const refused = await ann.waitFor('error');
    assert.doesNotMatch(JSON.stringify(refused), /function|undefined|TypeError|substring/);
  });

  test('bug 12: a query operator is not accepted as an id', async (t) => {
    const server = await start(t);
    const [admin, ann] = [await server.signIn(server.admin), await server.signIn(server.ann)];
    await ann.send(server.admin, 'unread');
    await admin.waitFor('receive-message');
    for (const senderId of [{ $ne: null }, { $gt: '' }, [{ $ne: null }], { $regex: '.*' }]) {
      admin.emit('mark-read', { senderId });
    }
    await admin.roundTrip();
    await ann.nothingMore();
    assert.equal((await server.get('/api/chat/unread-count', server.admin)).body.count, 1);
  });

  test('bug 13: a token signed with the well-known secret is refused', async (t) => {
    const server = await start(t);
    const client = await server.connect('mallory');
    const forged = server.token(server.admin, { secret: 'mysecretkey' });
    client.emit('authenticate', forged);
    await client.waitFor('authenticated', { success: false, message: 'Invalid token' });
    assert.equal((await server.get('/api/chat/conversations', forged)).status, 401);
  });
}
