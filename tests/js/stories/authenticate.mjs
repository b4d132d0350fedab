// `authenticate`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

const NO_TOKEN = { success: false, message: 'No token provided' };
const INVALID = { success: false, message: 'Invalid token' };

export default function stories(start) {
  test('a bare token is answered with the person, then with their own user-online', async (t) => {
    const server = await start(t);
    for (const account of [server.ann, server.admin]) {
      const client = await server.connect(account.key);
      client.emit('authenticate', server.token(account));
      const online = await client.waitFor('user-online');
      assert.deepEqual(online, { userId: account.id });
      const yes = await client.waitFor('authenticated', { success: true, userId: account.id, role: account.role });
      assert.ok(yes);
      const names = client.events.map((event) => event.name);
      assert.deepEqual(names.slice(0, 3), ['<connect>', 'authenticated', 'user-online']);
    }
  });

  test('a token of the log-in is accepted', async (t) => {
    const server = await start(t);
    const { body } = await server.rest('POST', '/api/auth/login', { body: { email: 'ann@x.test', password: 'secret1' } });
    await server.signIn(server.ann, { token: body.token });
  });

  test('a missing token and an invalid one have different answers', async (t) => {
    const server = await start(t);
    const client = await server.connect('anon');
    for (const nothing of [null, '', 0, false]) {
      client.emit('authenticate', nothing);
      await client.waitFor('authenticated', NO_TOKEN);
    }
    client.emit('authenticate');
    await client.waitFor('authenticated', NO_TOKEN);
    const good = server.token(server.ann);
    const bad = [
      'x.y.z',
      'nonsense',
      `${good}x`,
      `${good.split('.').slice(0, 2).join('.')}.`,
      server.token(server.ann, { ttl: -10 }),
      server.token(server.ann, { secret: 'mysecretkey' }),
      server.token({ id: '0123456789abcdef01234567', role: 'admin' }),
      server.token(server.blocked),
      5,
      true,
      [good],
      { nothing: 'here' , token: { token: good } },
      { token: 'x.y.z' },
    ];
    for (const token of bad) {
      client.emit('authenticate', token);
      await client.waitFor('authenticated', INVALID);
    }
    await client.nothingMore();
    client.emit('authenticate', good);
    await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
  });

  test('an unsigned token is refused', async (t) => {
    const server = await start(t);
    const client = await server.connect('anon');
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = part({ id: server.admin.id, role: 'admin', iat: 1, exp: 9999999999 });
    for (const token of [`${part({ alg: 'none', typ: 'JWT' })}.${claims}.`, `${part({ alg: 'HS512' })}.${claims}.AAAA`]) {
      client.emit('authenticate', token);
      await client.waitFor('authenticated', INVALID);
    }
  });

  test('the role is that of the account, whatever the token says', async (t) => {
    const server = await start(t);
    const ann = await server.connect('ann');
    ann.emit('authenticate', server.token({ ...server.ann, role: 'admin' }));
    await ann.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
  });

  test('authenticating again as the same person gets the same answer', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const ann = await server.signIn(server.ann);
    await admin.waitFor('user-online', { userId: server.ann.id });
    ann.emit('authenticate', server.token(server.ann));
    await ann.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
    await ann.waitFor('user-online', { userId: server.ann.id });
    await admin.waitFor('user-online', { userId: server.ann.id });
    // It is still one connection, so events are sent once.
    await admin.send(server.ann, 'once');
    await ann.waitFor('receive-message', (received) => received.message === 'once');
    await ann.roundTrip();
    await ann.drain();
    await ann.nothingMore();
    await admin.nothingMore(500);
  });

  test('an invalid token on an authenticated socket ends its rights', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    ann.emit('authenticate', 'x.y.z');
    await ann.waitFor('authenticated', INVALID);
    await ann.drain();
    await admin.send(server.ann, 'still there?');
    await ann.nothingMore();
    ann.emit('send-message', { receiverId: server.admin.id, message: 'x' });
    assert.equal((await ann.waitFor('error')).message, 'Not authenticated');
    assert.ok(ann.socket.connected);
  });
}
