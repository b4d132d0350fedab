// `resume`: a client names the last seq that it has received.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertResumed } from '../expect.mjs';

export default function stories(start) {
  const texts = (part) => part.entries.filter(({ kind }) => kind === 'message').map(({ entry }) => entry.message);

  test('a gap is filled with exactly what is missing, in order', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    const { conversationId, seq } = await ann.ask('send-message', { receiverId: server.admin.id, message: 'one' });
    await ann.waitFor('message-sent');
    ann.close();
    for (const message of ['two', 'three']) await admin.send(server.ann, message);
    const back = await server.connect('ann, back');
    await back.ask('authenticate', { token: server.token(server.ann), catchUp: false });
    await back.roundTrip();
    assert.deepEqual(back.takeAll('receive-message'), [], 'a client that resumes is not caught up as well');
    const { ok, conversations } = await back.ask('resume', { conversations: { [conversationId]: seq } });
    assert.equal(ok, true);
    assert.deepEqual(Object.keys(conversations), [conversationId]);
    const part = conversations[conversationId];
    assert.deepEqual(part.entries.map((entry) => [entry.kind, entry.seq]), [['message', seq + 1], ['message', seq + 2]]);
    assert.equal(part.lastSeq, seq + 2);
    assert.equal(part.hasMore, false);
    assertResumed(part.entries[0].entry, { from: server.admin, to: server.ann, message: 'two' });
    assert.deepEqual(texts(part), ['two', 'three']);

    // It is live again, from the end of the response.
    const sent = await admin.send(server.ann, 'four');
    assert.equal(sent.seq, seq + 3);
    assert.deepEqual(await back.waitFor('receive-message'), sent);
    const nothing = await back.ask('resume', { conversations: { [conversationId]: sent.seq } });
    assert.deepEqual(nothing.conversations[conversationId], { entries: [], lastSeq: sent.seq, hasMore: false });
  });

  test('many entries come in pages', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const all = Array.from({ length: 450 }, (_, index) => `message ${index}`);
    for (const message of all) ann.emit('send-message', { receiverId: server.admin.id, message });
    const { conversationId } = await ann.waitFor('message-sent', (sent) => sent.message === all.at(-1));
    const found = [];
    const sizes = [];
    for (let after = 0, more = true; more; ) {
      const { conversations } = await ann.ask('resume', { conversations: { [conversationId]: after } });
      const part = conversations[conversationId];
      found.push(...texts(part));
      sizes.push(part.entries.length);
      after = part.entries.at(-1).seq;
      more = part.hasMore;
      assert.equal(part.lastSeq, 450);
    }
    assert.deepEqual(found, all);
    assert.deepEqual(sizes, [200, 200, 50]);
  });

  test('the size of an answer is limited over all conversations together', async (t) => {
    const server = await start(t);
    const [admin, ann, bob] = [await server.signIn(server.admin), await server.signIn(server.ann), await server.signIn(server.bob)];
    const all = Array.from({ length: 20 }, (_, index) => `${index} ${'€'.repeat(15_000)}`);
    for (const client of [ann, bob]) for (const message of all) await client.send(server.admin, message);
    const ids = [ann, bob].map((client) => client.all('message-sent')[0].conversationId);
    const found = new Map(ids.map((id) => [id, []]));
    const cursors = Object.fromEntries(ids.map((id) => [id, 0]));
    for (let more = true; more; ) {
      const answer = await admin.ask('resume', { conversations: cursors });
      assert.ok(Buffer.byteLength(JSON.stringify(answer)) < 600_000);
      const parts = Object.entries(answer.conversations);
      assert.ok(parts.some(([, part]) => part.entries.length), 'it goes on');
      for (const [id, part] of parts) {
        found.get(id).push(...texts(part));
        cursors[id] = part.entries.at(-1)?.seq ?? cursors[id];
      }
      more = parts.some(([, part]) => part.hasMore);
    }
    for (const id of ids) assert.deepEqual(found.get(id), all);
  });

  test('a seq that does not exist gets `resync_required`', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const { conversationId, seq } = await ann.ask('send-message', { receiverId: server.admin.id, message: 'one' });
    const { conversations } = await ann.ask('resume', { conversations: { [conversationId]: seq + 1000 } });
    assert.deepEqual(conversations[conversationId], { code: 'resync_required', lastSeq: seq });
  });

  test('a conversation of others is `not_found`', async (t) => {
    const server = await start(t);
    const [ann, bob] = [await server.signIn(server.ann), await server.signIn(server.bob)];
    const support = await ann.ask('send-message', { receiverId: server.admin.id, message: 'secret' });
    const direct = await ann.ask('send-message', { receiverId: server.ann.id, message: 'secret' });
    const nobodys = '0123456789abcdef01234567';
    const asked = { [support.conversationId]: 0, [direct.conversationId]: 0, [nobodys]: 0 };
    const { conversations } = await bob.ask('resume', { conversations: asked });
    for (const id of Object.keys(asked)) assert.deepEqual(conversations[id], { code: 'not_found' });
    // An agent may read conversations with the desk, but not those between customers.
    const admin = await server.signIn(server.admin);
    const seen = (await admin.ask('resume', { conversations: asked })).conversations;
    assert.deepEqual(texts(seen[support.conversationId]), ['secret']);
    assert.deepEqual(seen[direct.conversationId], { code: 'not_found' });
    for (const conversationId of Object.keys(asked)) {
      const refused = await bob.ask('send-message', { conversationId, message: 'let me in' });
      assert.equal(refused.code, 'not_found');
      assert.equal((await bob.ask('mark-read', { conversationId })).code, 'not_found');
    }
  });

  test('a customer who names no conversation gets all of theirs', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const support = await ann.ask('send-message', { receiverId: server.admin.id, message: 'to the desk' });
    const direct = await ann.ask('send-message', { receiverId: server.bob.id, message: 'to bob' });
    const { conversations } = await ann.ask('resume');
    assert.deepEqual(Object.keys(conversations).sort(), [support.conversationId, direct.conversationId].sort());
    assert.deepEqual(texts(conversations[support.conversationId]), ['to the desk']);
    assert.deepEqual(texts(conversations[direct.conversationId]), ['to bob']);
  });

  test('invalid requests are refused', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [n.toString(16).padStart(24, '0'), 0]));
    assert.equal((await ann.ask('resume', { conversations: many })).code, 'too_large');
    for (const conversations of [5, [], 'x', { x: 0 }, { '0123456789abcdef01234567': -1 }]) {
      assert.equal((await ann.ask('resume', { conversations })).code, 'invalid', JSON.stringify(conversations));
    }
  });
}
