// `GET /api/chat/messages/:id?limit=n` marks only what it returns, and HEAD nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';

export default function stories(start) {
  const texts = (messages) => messages.map(({ message }) => message);

  test('fetching only the newest message leaves the others unread and undelivered', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    for (const text of ['one', 'two', 'three']) await admin.send(server.ann, text);
    const path = `/api/chat/messages/${server.admin.id}`;
    const unread = async () => (await server.get('/api/chat/unread-count', server.ann)).body.count;
    assert.deepEqual(texts((await server.get(`${path}?limit=1`, server.ann)).body), ['three']);
    assert.equal(await unread(), 3);
    const ann = await server.signIn(server.ann);
    for (const text of ['one', 'two', 'three']) await ann.waitFor('receive-message', ({ message }) => message === text);
    assert.deepEqual(admin.all('messages-read'), []);

    // A limit of three returns all messages.
    assert.deepEqual(texts((await server.get(`${path}?limit=3`, server.ann)).body), ['one', 'two', 'three']);
    await admin.waitFor('messages-read');
    assert.equal(await unread(), 0);
    // Nor does a page that begins at the cursor omit anything.
    await admin.send(server.ann, 'four');
    assert.deepEqual(texts((await server.get(`${path}?limit=1`, server.ann)).body), ['four']);
    await admin.waitFor('messages-read');
    assert.equal(await unread(), 0);
  });

  test('messages returned by a complete limited request are not sent again', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    for (const text of ['one', 'two']) await admin.send(server.ann, text);
    await server.get(`/api/chat/messages/${server.admin.id}?limit=2`, server.ann);
    // A client that connects before the mark is published would get it, too.
    await admin.waitFor('messages-read');
    const ann = await server.signIn(server.ann);
    await ann.nothingMore(300);
  });

  test('HEAD is refused, and marks nothing', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    await admin.send(server.ann, 'unseen');
    const answer = await server.rest('HEAD', `/api/chat/messages/${server.admin.id}`, { as: server.ann });
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.get('allow'), 'GET');
    assert.equal((await server.get('/api/chat/unread-count', server.ann)).body.count, 1);
    await (await server.signIn(server.ann)).waitFor('receive-message', ({ message }) => message === 'unseen');
  });

  test('the Google button leads back to the page', async (t) => {
    const server = await start(t);
    for (const path of ['/api/auth/google', '/api/auth/google/callback?code=x']) {
      const answer = await fetch(server.url + path, { headers: { accept: 'text/html,*/*' }, redirect: 'manual' });
      assert.equal(answer.status, 302);
      assert.equal(answer.headers.get('location'), 'http://localhost:5173/auth/google/success?error=not_configured');
      assert.equal((await server.get(path)).status, 501);
    }
  });
}
