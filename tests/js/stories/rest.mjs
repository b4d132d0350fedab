// The REST routes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertStored, eventually, ID, shown, STAMP } from '../expect.mjs';

const ORIGIN = 'http://localhost:5173';

export default function rest(start) {
  const cors = ({ headers }) => [
    headers.get('access-control-allow-origin'),
    headers.get('access-control-allow-credentials'),
  ];
  const CORS = [ORIGIN, 'true'];
  const send = (server, from, to, message) =>
    server.rest('POST', '/api/chat/send', { as: from, body: { receiverId: to.id, message } });

  test('logging in', async (t) => {
    const server = await start(t);
    const logIn = (body) => server.rest('POST', '/api/auth/login', { body });
    const ok = await logIn({ email: ' ANN@X.test ', password: 'secret1' });
    assert.equal(ok.status, 200);
    assert.deepEqual([ok.body.success, ok.body.role, ok.body.name], [true, 'user', 'Ann']);
    assert.deepEqual(cors(ok), CORS);
    // The frontend decodes the claims itself, with plain `atob`.
    const payload = ok.body.token.split('.')[1];
    assert.doesNotMatch(payload, /[-_]/);
    const claims = JSON.parse(atob(payload));
    assert.deepEqual(Object.keys(claims).sort(), ['exp', 'iat', 'id', 'role']);
    assert.deepEqual([claims.id, claims.role, claims.exp - claims.iat], [server.ann.id, 'user', 86_400]);
    assert.deepEqual(JSON.parse(atob(ok.body.token.split('.')[0])), { typ: 'JWT', alg: 'HS256' });
    const refusals = [
      [{ email: 'ann@x.test', password: 'no' }, 401, 'Invalid email or password'],
      [{ email: 'nobody@x.test', password: 'secret1' }, 401, 'Invalid email or password'],
      [{ email: 'nobody', password: 'secret1' }, 401, 'Invalid email or password'],
      [{ email: 'blocked@x.test', password: 'secret1' }, 403, 'Account is blocked.'],
      [{}, 400, 'Email and password are required'],
      [{ email: 'ann@x.test' }, 400, 'Email and password are required'],
    ];
    for (const [body, status, message] of refusals) {
      const refused = await logIn(body);
      assert.deepEqual([refused.status, refused.body], [status, { success: false, message }]);
      assert.deepEqual(cors(refused), CORS);
    }
  });

  test('registering', async (t) => {
    const server = await start(t);
    const register = (body) => server.rest('POST', '/api/auth/register', { body });
    const ok = await register({ name: 'New', email: 'New@x.test', password: 'secret1' });
    assert.deepEqual([ok.status, ok.body], [201, { success: true, message: 'User registered successfully' }]);
    const again = await register({ name: 'New', email: 'new@x.test', password: 'secret1' });
    assert.deepEqual([again.status, again.body], [409, { success: false, message: 'User already exists' }]);
    const short = await register({ name: 'N', email: 'n@x.test', password: '1' });
    assert.deepEqual([short.status, short.body.message], [400, 'Password must be at least 6 characters']);
    assert.equal((await register({ email: 'n@x.test' })).status, 400);
    const body = { email: 'new@x.test', password: 'secret1' };
    const early = await server.rest('POST', '/api/auth/login', { body });
    assert.deepEqual([early.status, early.body.message], [403, 'Account not verified. Please verify OTP.']);
    const wrong = await server.rest('POST', '/api/auth/verify-email', { body: { email: 'new@x.test', code: '000000' } });
    assert.deepEqual([wrong.status, wrong.body.success], [400, false]);
    for (const route of ['resend-verification', 'forgot-password']) {
      // The response does not reveal whether the account exists.
      const known = await server.rest('POST', `/api/auth/${route}`, { body: { email: 'new@x.test' } });
      const unknown = await server.rest('POST', `/api/auth/${route}`, { body: { email: 'nobody@x.test' } });
      assert.deepEqual([known.status, known.body], [200, unknown.body]);
      assert.equal(known.body.success, true);
    }
    const reset = { email: 'new@x.test', token: 'x', newPassword: 'secret2' };
    assert.equal((await server.rest('POST', '/api/auth/reset-password', { body: reset })).status, 400);
  });

  test('a request without a valid token gets one of three messages', async (t) => {
    const server = await start(t);
    const routes = [
      ['GET', '/api/chat/admin'],
      ['GET', '/api/chat/conversations'],
      ['GET', `/api/chat/messages/${server.admin.id}`],
      ['GET', '/api/chat/unread-count'],
      ['POST', '/api/chat/send'],
      ['GET', '/api/admin/getusers?page=1'],
    ];
    for (const [method, path] of routes) {
      const asked = async (authorization, message) => {
        const headers = authorization === undefined ? {} : { authorization };
        const refused = await server.rest(method, path, { headers });
        assert.deepEqual([refused.status, refused.body], [401, { success: false, message }], `${path} ${authorization}`);
        assert.deepEqual(cors(refused), CORS);
      };
      await asked(undefined, 'No token provided');
      await asked('Bearer null', 'Invalid token');
      await asked('Bearer x.y.z', 'Invalid token');
      await asked(`Bearer ${server.token(server.ann, { ttl: -10 })}`, 'Token expired');
      await asked(`Bearer ${server.token(server.blocked)}`, 'Invalid token');
    }
  });

  test('/api/chat/admin returns the support identity', async (t) => {
    const server = await start(t);
    for (const caller of [server.ann, server.admin, server.second]) {
      const { status, body } = await server.get('/api/chat/admin', caller);
      assert.deepEqual([status, body], [200, shown(server.admin)]);
    }
  });

  test('/api/chat/conversations is for agents, newest first', async (t) => {
    const server = await start(t);
    assert.deepEqual((await server.get('/api/chat/conversations', server.admin)).body, []);
    await send(server, server.bob, server.admin, 'first');
    await send(server, server.ann, server.admin, 'one');
    await send(server, server.ann, server.admin, 'two');
    for (const agent of [server.admin, server.second]) {
      const { status, body } = await server.get('/api/chat/conversations', agent);
      assert.equal(status, 200);
      assert.ok(Array.isArray(body));
      const [newest, oldest] = body.map(({ conversationId, lastSeq, status: state, lastMessageTime, ...line }) => {
        assert.match(conversationId, ID);
        assert.match(lastMessageTime, STAMP);
        assert.equal(typeof lastSeq, 'number');
        assert.equal(typeof state, 'string');
        return line;
      });
      const line = ({ id, name, email }) => ({ _id: id, userId: id, name, email });
      assert.deepEqual(newest, { ...line(server.ann), lastMessage: 'two', unreadCount: 2 });
      assert.deepEqual(oldest, { ...line(server.bob), lastMessage: 'first', unreadCount: 1 });
      assert.equal(body.length, 2);
    }
    const refused = await server.get('/api/chat/conversations', server.ann);
    assert.deepEqual([refused.status, refused.body], [403, { message: 'Access denied' }]);
  });

  test('/api/chat/messages/:userId is the whole conversation, oldest first', async (t) => {
    const server = await start(t);
    await send(server, server.ann, server.admin, 'question');
    await send(server, server.second, server.ann, 'answer');
    const { status, body } = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.equal(status, 200);
    const keys = [
      '__v', '_id', 'conversationId', 'createdAt', 'message', 'read', 'receiver', 'sender', 'seq', 'status', 'updatedAt',
    ];
    body.forEach((stored) => assert.deepEqual(Object.keys(stored).sort(), keys));
    assertStored(body[0], { from: server.ann, to: server.admin, message: 'question', read: false });
    assertStored(body[1], { from: server.admin, to: server.ann, message: 'answer', read: false });
    await eventually(async () => (await server.get('/api/chat/unread-count', server.ann)).body.count === 0);
    const [, answer] = (await server.get(`/api/chat/messages/${server.ann.id}`, server.admin)).body;
    assert.equal(answer.read, true);
    assert.deepEqual((await server.get('/api/chat/messages/0123456789abcdef01234567', server.ann)).body, []);
    const bad = await server.get('/api/chat/messages/not-an-id', server.ann);
    assert.deepEqual([bad.status, bad.body], [500, { message: 'Server error' }]);
    // Bob is not a member of it.
    assert.deepEqual((await server.get(`/api/chat/messages/${server.ann.id}`, server.bob)).body, []);
    assert.deepEqual((await server.get(`/api/chat/messages/${server.admin.id}`, server.bob)).body, []);
  });

  test('/api/chat/send stores a message', async (t) => {
    const server = await start(t);
    const sent = await send(server, server.ann, server.admin, ' via rest ');
    assert.equal(sent.status, 201);
    assertStored(sent.body, { from: server.ann, to: server.admin, message: 'via rest', read: false });
    assert.deepEqual(cors(sent), CORS);
    const { body } = await server.get(`/api/chat/messages/${server.ann.id}`, server.admin);
    assert.deepEqual(body.map((stored) => stored._id), [sent.body._id]);
    const missing = 'Receiver and message are required';
    for (const refused of [{ receiverId: server.admin.id }, { message: 'x' }, {}, { receiverId: '', message: '' }]) {
      const { status, body: answer } = await server.rest('POST', '/api/chat/send', { as: server.ann, body: refused });
      assert.deepEqual([status, answer], [400, { message: missing }]);
    }
    const bad = await server.rest('POST', '/api/chat/send', { as: server.ann, body: { receiverId: 'bad', message: 'x' } });
    assert.deepEqual([bad.status, bad.body], [500, { message: 'Server error' }]);
    const nobody = await send(server, server.ann, { id: '0123456789abcdef01234567' }, 'x');
    assert.equal(nobody.status, 404);
    assert.equal((await send(server, server.ann, server.admin, '  ')).status, 400);
    const retry = { receiverId: server.admin.id, message: 'once', clientMessageId: 'r-1' };
    const first = await server.rest('POST', '/api/chat/send', { as: server.ann, body: retry });
    const second = await server.rest('POST', '/api/chat/send', { as: server.ann, body: retry });
    assert.equal(second.body._id, first.body._id);
  });

  test('/api/chat/unread-count counts the unread messages of the caller', async (t) => {
    const server = await start(t);
    const count = async (account) => (await server.get('/api/chat/unread-count', account)).body;
    await send(server, server.ann, server.admin, 'one');
    await send(server, server.ann, server.bob, 'two');
    await send(server, server.admin, server.ann, 'three');
    assert.deepEqual(await count(server.admin), { count: 1 });
    assert.deepEqual(await count(server.second), { count: 1 });
    assert.deepEqual(await count(server.bob), { count: 1 });
    assert.deepEqual(await count(server.ann), { count: 1 });
  });

  test('the admin routes manage accounts', async (t) => {
    const server = await start(t);
    const asked = (method, path, options = {}) => server.rest(method, `/api/admin/${path}`, { as: server.admin, ...options });
    const page = (await asked('GET', 'getusers?page=1')).body;
    assert.deepEqual([page.success, page.page, page.totalPages, page.totalRecords], [true, 1, 1, 3]);
    for (const row of page.data) {
      const { _id, name, email, status, createdAt, updatedAt } = row;
      assert.match(_id, ID);
      for (const text of [name, email, status]) assert.equal(typeof text, 'string');
      for (const stamp of [createdAt, updatedAt]) assert.match(stamp, STAMP);
      assert.ok(!('password' in row || 'passwordHash' in row));
    }
    assert.deepEqual(page.data.map((row) => row.status).sort(), ['Blocked', 'active', 'active']);
    assert.equal((await asked('GET', 'getusers?page=1', { as: server.ann })).status, 403);
    const cid = { name: 'Cid', email: 'cid@x.test', password: 'secret1' };
    const created = await asked('POST', 'createuser', { body: cid });
    assert.equal(created.status, 201);
    assert.equal((await asked('POST', 'createuser', { body: cid })).status, 409);
    const id = created.body.data._id;
    assert.equal((await asked('PUT', `updateuser/${id}`, { body: { name: 'Cyd' } })).body.data.name, 'Cyd');
    assert.equal((await asked('DELETE', `deleteuser/${id}`)).status, 200);
    assert.equal((await asked('DELETE', `deleteuser/${id}`)).status, 404);
    assert.equal((await asked('PUT', 'updateuser/not-an-id', { body: {} })).status, 400);
  });

  test('preflights get 204, the requested methods and headers, and a max-age', async (t) => {
    const server = await start(t);
    const headers = {
      origin: ORIGIN,
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'authorization',
    };
    for (const path of ['/api/chat/admin', '/api/chat/send', '/api/auth/login', '/api/admin/getusers']) {
      const answer = await server.rest('OPTIONS', path, { headers });
      assert.equal(answer.status, 204);
      assert.equal(answer.text, '');
      assert.deepEqual(cors(answer), CORS);
      const methods = answer.headers.get('access-control-allow-methods').split(/,\s*/);
      assert.deepEqual(methods.sort(), ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT']);
      assert.equal(answer.headers.get('access-control-allow-headers'), 'authorization');
      assert.ok(Number(answer.headers.get('access-control-max-age')) >= 600);
    }
  });

  test('the allowed origin is the configured one, whatever the request has', async (t) => {
    const usual = await start(t);
    for (const path of ['/', '/api/chat/admin', '/socket.io/?EIO=4&transport=polling', '/nope']) {
      assert.deepEqual(cors(await usual.rest('GET', path, { headers: { origin: 'http://evil.test' } })), CORS, path);
    }
    const other = await start(t, '--client-url', 'https://chat.example.com');
    for (const path of ['/', '/socket.io/?EIO=4&transport=polling']) {
      assert.deepEqual(cors(await other.rest('GET', path)), ['https://chat.example.com', 'true']);
    }
  });

  test('a body that is not JSON gets 400 with JSON and CORS headers', async (t) => {
    const server = await start(t);
    const routes = [['/api/chat/send', 400], ['/api/auth/login', 400], ['/api/auth/register', 400], ['/api/admin/createuser', 400]];
    for (const [path, status] of routes) {
      for (const raw of ['{bad json', '[1,2]', '"text"', '5', '\0']) {
        const answer = await server.rest('POST', path, { as: server.admin, raw });
        assert.equal(answer.status, status, `${path} ${raw}`);
        assert.equal(typeof answer.body.message, 'string');
        assert.deepEqual(cors(answer), CORS);
      }
    }
    const large = await server.rest('POST', '/api/chat/send', { as: server.ann, raw: `{"message":"${'x'.repeat(2_000_000)}"}` })
      .catch((error) => ({ status: 413, error }));
    assert.equal(large.status, 413);
  });

  test('/ and /health report the health', async (t) => {
    const server = await start(t);
    for (const path of ['/', '/health']) {
      const { status, body } = await server.get(path);
      assert.deepEqual([status, body], [200, { status: 'ok', message: 'Server is healthy' }]);
    }
    const unknown = await server.get('/nope');
    assert.equal(unknown.status, 404);
    assert.deepEqual(cors(unknown), CORS);
  });

  test('/socket.io/ without a transport is refused with the text of the replaced server', async (t) => {
    const server = await start(t);
    const { status, body } = await server.get('/socket.io/');
    assert.deepEqual([status, body], [400, { code: 0, message: 'Transport unknown' }]);
  });
}
