// Conventions of other frontends: where they send their token, how they learn that it is invalid, and where they
// connect.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../expect.mjs';
import { mint } from '../server.mjs';

export default function stories(start) {
  test('a token in the handshake may have different names', async (t) => {
    const server = await start(t);
    const token = server.token(server.ann);
    for (const options of [
      { query: { token } },
      { query: { token: `Bearer ${token}` } },
      { auth: { jwt: token } },
      { auth: { authorization: `Bearer ${token}` } },
      { auth: { Authorization: `Bearer ${token}` } },
      { auth: (show) => show({ token }) },
    ]) {
      const client = await server.connect(JSON.stringify(Object.keys(options)), options);
      await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
      client.close();
    }
  });

  test('a client with an invalid token in the handshake is refused, and reconnects with another one', async (t) => {
    const server = await start(t);
    const expired = mint(server.ann, { ttl: -60 });
    for (const [options, message] of [
      [{ auth: { token: 'x.y.z' } }, 'Invalid token'],
      [{ auth: { token: expired } }, 'Token expired'],
      [{ query: { token: 'null' } }, 'Invalid token'],
      [{ extraHeaders: { authorization: 'Bearer x.y.z' } }, 'Invalid token'],
      [{ auth: { token: mint(server.blocked) } }, 'Account is blocked.'],
    ]) {
      const client = server.client('refused', options);
      const refused = await new Promise((resolve) => client.socket.once('connect_error', resolve));
      assert.equal(refused.message, message);
      assert.equal(client.socket.active, false, 'the stock client does not come back by itself');
      client.socket.auth = { token: server.token(server.ann) };
      client.socket.connect();
      await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
      client.close();
    }
  });

  test('an invalid token in an event or a cookie does not disconnect a client', async (t) => {
    const server = await start(t);
    const client = await server.connect('event', { extraHeaders: { cookie: 'token=x.y.z' } });
    client.emit('authenticate', 'x.y.z');
    await client.waitFor('authenticated', { success: false, message: 'Invalid token' });
    client.emit('authenticate', server.token(server.ann));
    await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
    assert.ok(client.socket.connected);
  });

  test('other namespaces are the same desk', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    for (const namespace of ['chat', 'admin', 'support']) {
      const client = server.client(namespace, { url: `${server.url}/${namespace}`, auth: { token: server.token(server.ann) } });
      await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
      client.emit('send-message', { receiverId: server.admin.id, message: `by ${namespace}` });
      await admin.waitFor('receive-message', (received) => received.message === `by ${namespace}`);
      await client.waitFor('message-sent');
      client.close();
    }
    const elsewhere = server.client('elsewhere', { url: `${server.url}/elsewhere` });
    const refused = await new Promise((resolve) => elsewhere.socket.once('connect_error', resolve));
    assert.equal(refused.message, 'Invalid namespace');
  });

  test('clients can connect at an additional path, and at the usual one', async (t) => {
    const server = await start(t, '--path', '/realtime/');
    for (const path of ['/realtime/', '/realtime', '/socket.io/']) {
      const client = await server.connect(path, { path, auth: { token: server.token(server.ann) } });
      await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
      client.close();
    }
  });

  test('a client may offer subprotocols', async (t) => {
    const server = await start(t);
    const client = await server.connect('protocols', { protocols: ['chat.v1', 'chat.v2'] });
    client.emit('authenticate', server.token(server.ann));
    await client.waitFor('authenticated', { success: true, userId: server.ann.id, role: 'user' });
  });

  test('an unknown event is answered, and logged once with a hint', async (t) => {
    const server = await start(t);
    const client = await server.signIn(server.ann);
    for (let n = 0; n < 3; n++) {
      const answer = await client.ask('sendMessage', { to: server.admin.id, text: 'hi' });
      assert.deepEqual([answer.ok, answer.code], [false, 'invalid']);
    }
    // Lines are written in order, but not at once.
    await client.ask('somethingElse', {});
    await eventually(() => server.log.includes('somethingElse'));
    const lines = server.log.split('\n').filter((line) => line.includes('sendMessage'));
    assert.equal(lines.length, 1, server.log);
    assert.match(lines[0], /WARN.*it may mean `send-message`/);
  });
}
