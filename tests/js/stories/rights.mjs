// The rights of an open socket change.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PASSWORD } from '../server.mjs';

export default function stories(start) {
  /** It has lost its rights, and nothing else. */
  const assertPowerless = async (server, client, { recipients = [] } = {}) => {
    await client.drain();
    client.emit('send-message', { receiverId: server.admin.id, message: 'x' });
    assert.equal((await client.waitFor('error')).message, 'Not authenticated');
    const admin = await server.signIn(server.admin, { name: 'admin, who tries' });
    for (const account of recipients) await admin.send(account, 'for you alone');
    await client.nothingMore();
    assert.ok(client.socket.connected);
    assert.deepEqual(client.all('<disconnect>'), [], 'it was never disconnected');
    admin.close();
  };
  /** The tests of `src/desk/attendance/revalidate.rs` check how soon this happens. */
  const revoked = async (client, act) => {
    const [ended] = await Promise.all([client.waitFor('authenticated', ({ success }) => !success), act]);
    assert.equal(typeof ended.message, 'string');
    return ended;
  };

  test('a token that expires on an open socket ends its rights, and a fresh one restores them', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann, { token: server.token(server.ann, { ttl: 4 }) });
    await revoked(ann);
    await assertPowerless(server, ann, { recipients: [server.ann] });
    ann.emit('authenticate', server.token(server.ann));
    await ann.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
    await ann.waitFor('receive-message', (received) => received.message === 'for you alone');
  });

  test('an account blocked on the command line loses its rights', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    await server.user(['block', 'ann@x.test']);
    await revoked(ann);
    await assertPowerless(server, ann, { recipients: [server.ann] });
    ann.emit('authenticate', server.token(server.ann));
    await ann.waitFor('authenticated', { success: false, message: 'Invalid token' });
    assert.equal((await server.get('/api/chat/admin', server.ann)).status, 401);
    await server.user(['unblock', 'ann@x.test']);
    // A token from the server is valid even in the second in which the others were revoked.
    ann.emit('authenticate', await logIn(server, server.ann));
    await ann.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
  });

  const logIn = async (server, account, password = PASSWORD) => {
    const { body } = await server.rest('POST', '/api/auth/login', { body: { email: account.email, password } });
    return body.token;
  };

  /** The old token is rejected everywhere; one that is issued right afterwards is accepted. */
  const assertEnded = async (server, client, token, password) => {
    await assertPowerless(server, client, { recipients: [server.ann] });
    client.emit('authenticate', token);
    await client.waitFor('authenticated', { success: false, message: 'Invalid token' });
    const asked = await server.rest('GET', '/api/chat/admin', { headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual([asked.status, asked.body.message], [401, 'Invalid token']);
    client.emit('authenticate', await logIn(server, server.ann, password));
    await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
  };

  test('logging out ends one session, and the other ones continue', async (t) => {
    const server = await start(t);
    const token = await logIn(server, server.ann);
    const [ann, phone] = [await server.signIn(server.ann, { token }), await server.signIn(server.ann, { name: 'phone' })];
    const done = server.rest('POST', '/api/auth/logout', { headers: { authorization: `Bearer ${token}` } });
    await revoked(ann, done);
    assert.equal((await done).status, 200);
    const bob = await server.signIn(server.bob);
    await bob.send(server.ann, 'for the phone');
    await phone.waitFor('receive-message', (received) => received.message === 'for the phone');
    await assertEnded(server, ann, token, PASSWORD);
  });

  const ends = {
    'a password set on the command line': (server) => server.user(['password', 'ann@x.test'], 'another1\n'),
    'a password set by an admin': (server) => update(server, server.ann, { password: 'another1' }),
    'logging out everywhere': (server) => server.rest('POST', '/api/auth/logout-everywhere', { as: server.ann }),
    'logging out everywhere on the command line': (server) => server.user(['log-out', 'ann@x.test']),
  };
  for (const [what, end] of Object.entries(ends)) {
    test(`${what} ends all sessions`, async (t) => {
      const server = await start(t);
      const token = await logIn(server, server.ann);
      const ann = await server.signIn(server.ann, { token });
      await revoked(ann, end(server));
      await assertEnded(server, ann, token, what.startsWith('a password') ? 'another1' : PASSWORD);
    });
  }

  const update = (server, account, body) =>
    server.rest('PUT', `/api/admin/updateuser/${account.id}`, { as: server.admin, body });

  test('an account blocked on the dashboard loses its rights at once, on all sockets', async (t) => {
    const server = await start(t);
    const tabs = [await server.signIn(server.ann), await server.signIn(server.ann, { name: 'ann, tab 2' })];
    const bob = await server.signIn(server.bob);
    const done = update(server, server.ann, { status: 'Blocked' });
    for (const tab of tabs) await revoked(tab, done);
    assert.equal((await done).status, 200);
    for (const tab of tabs) await assertPowerless(server, tab, { recipients: [server.ann] });
    assert.ok((await bob.send(server.admin, 'others are not concerned'))._id);
  });

  test('a deleted account loses its rights at once', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const done = server.rest('DELETE', `/api/admin/deleteuser/${server.ann.id}`, { as: server.admin });
    await revoked(ann, done);
    assert.equal((await done).status, 200);
    await assertPowerless(server, ann);
    ann.emit('authenticate', server.token(server.ann));
    await ann.waitFor('authenticated', { success: false, message: 'Invalid token' });
  });

  test('a demoted agent no longer gets events of the desk', async (t) => {
    const server = await start(t);
    const [second, ann] = [await server.signIn(server.second), await server.signIn(server.ann)];
    await second.drain();
    await revoked(second, update(server, server.second, { role: 'user' }));
    // No agent is online now, which customers learn a moment later.
    await ann.waitFor('user-offline', { userId: server.admin.id });
    await ann.send(server.admin, 'for the desk');
    await second.nothingMore();
    second.emit('authenticate', server.token(server.second));
    await second.waitFor('authenticated', { success: true, userId: server.second.id, role: 'user' });
    await second.waitFor('user-online', { userId: server.second.id });
    await ann.send(server.admin, 'for the desk again');
    await second.drain();
    await second.nothingMore();
    assert.equal((await server.get('/api/chat/conversations', server.second)).status, 403);
  });

  test('a customer who becomes an agent has to authenticate again to get an agent\'s rights', async (t) => {
    const server = await start(t);
    const [ann, bob] = [await server.signIn(server.ann), await server.signIn(server.bob)];
    await revoked(ann, update(server, server.ann, { role: 'admin' }));
    ann.emit('authenticate', server.token(server.ann));
    await ann.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'admin' });
    await bob.send(server.admin, 'to the desk');
    await ann.waitFor('receive-message', (received) => received.message === 'to the desk');
  });

  test('authenticating as somebody else removes all rights of the first person', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const [bob, ann] = [await server.signIn(server.bob), await server.signIn(server.ann)];
    bob.emit('typing', { receiverId: server.admin.id });
    await admin.waitFor('user-typing');
    bob.emit('authenticate', server.token(server.ann));
    await bob.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
    await admin.waitFor('user-stop-typing', ({ userId }) => userId === server.bob.id);
    await admin.waitFor('user-offline', { userId: server.bob.id });
    await bob.roundTrip();
    await bob.drain();
    await admin.send(server.bob, 'for bob only');
    await bob.nothingMore();
    await admin.send(server.ann, 'for ann');
    for (const client of [ann, bob]) await client.waitFor('receive-message', (m) => m.message === 'for ann');
    bob.emit('send-message', { receiverId: server.admin.id, message: 'who am I?' });
    assert.equal((await admin.waitFor('receive-message')).sender._id, server.ann.id);
  });
}
