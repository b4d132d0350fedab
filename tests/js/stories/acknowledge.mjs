// Acknowledgements and retries.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ID, STAMP } from '../expect.mjs';

export default function stories(start) {
  test('every event is acknowledged if the client asks for it', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const ann = await server.connect('ann');
    const yes = await ann.ask('authenticate', server.token(server.ann));
    assert.deepEqual(yes, { ok: true, success: true, userId: server.ann.id, role: 'user' });
    const to = { receiverId: server.admin.id };
    const { messageId, conversationId, seq, createdAt, ...rest } = await ann.ask('send-message', { ...to, message: 'hi' });
    assert.deepEqual(rest, { ok: true, success: true, status: 'stored' });
    const received = await admin.waitFor('receive-message');
    assert.deepEqual({ messageId, conversationId, seq, createdAt }, {
      messageId: received._id, conversationId: received.conversationId, seq: received.seq, createdAt: received.createdAt,
    });
    assert.match(conversationId, ID);
    assert.match(createdAt, STAMP);
    assert.deepEqual((await ann.ask('typing', to)), { ok: true, success: true });
    assert.deepEqual((await ann.ask('stop-typing', to)), { ok: true, success: true });
    assert.deepEqual((await ann.ask('mark-read', { senderId: server.admin.id })), { ok: true, success: true });
    assert.equal((await ann.ask('resume', {})).ok, true);
  });

  test('a refusal is acknowledged with a code', async (t) => {
    const server = await start(t);
    const anon = await server.connect('anon');
    const refused = async (client, code, ...asked) => {
      const answer = await client.ask(...asked);
      assert.equal(answer.ok, false, asked[0]);
      assert.equal(answer.success, false, asked[0]);
      assert.equal(answer.code, code, asked[0]);
      assert.equal(answer.retryable, false, asked[0]);
      assert.equal(typeof answer.message, 'string', asked[0]);
    };
    await refused(anon, 'unauthenticated', 'authenticate', null);
    await refused(anon, 'unauthenticated', 'authenticate', 'x.y.z');
    await refused(anon, 'token_expired', 'authenticate', server.token(server.ann, { ttl: -10 }));
    for (const event of ['send-message', 'mark-read', 'typing', 'stop-typing', 'resume', 'no-such-event']) {
      await refused(anon, 'unauthenticated', event, {});
    }
    const ann = await server.signIn(server.ann);
    const to = { receiverId: server.admin.id };
    await refused(ann, 'invalid', 'send-message', { ...to, message: '  ' });
    await refused(ann, 'invalid', 'send-message', { receiverId: 'x', message: 'x' });
    await refused(ann, 'not_found', 'send-message', { receiverId: '0123456789abcdef01234567', message: 'x' });
    await refused(ann, 'too_large', 'send-message', { ...to, message: 'x'.repeat(1_000_001) });
    await refused(ann, 'invalid', 'send-message', { ...to, message: 'x', clientMessageId: 'i'.repeat(129) });
    await refused(ann, 'invalid', 'send-message', { ...to, message: 'x', clientMessageId: 5 });
    await refused(ann, 'invalid', 'mark-read', {});
    await refused(ann, 'not_found', 'mark-read', { senderId: '0123456789abcdef01234567' });
    await refused(ann, 'invalid', 'typing', {});
    await refused(ann, 'invalid', 'resume', 5);
    await refused(ann, 'invalid', 'no-such-event');
  });

  test('a retry with the same clientMessageId gets the same acknowledgement, and is not published', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const [ann, tab] = [await server.signIn(server.ann), await server.signIn(server.ann, { name: 'ann, tab 2' })];
    await admin.drain();
    await ann.drain();
    const ask = { receiverId: server.admin.id, message: 'once', clientMessageId: 'm-1' };
    const first = await ann.ask('send-message', ask);
    assert.equal(first.clientMessageId, 'm-1');
    const sent = await ann.waitFor('message-sent');
    assert.equal(sent.clientMessageId, 'm-1');
    const received = await admin.waitFor('receive-message');
    assert.ok(!('clientMessageId' in received), 'that is its author\'s business');
    await tab.waitFor('message-sent');

    assert.deepEqual(await ann.ask('send-message', ask), first);
    assert.deepEqual(await ann.waitFor('message-sent'), sent);
    // From another connection and with another text: the stored message is returned.
    assert.deepEqual(await tab.ask('send-message', { ...ask, message: 'twice' }), first);
    assert.deepEqual(await tab.waitFor('message-sent'), sent);
    await Promise.all([admin, ann, tab].map((client) => client.nothingMore()));

    // Ids are unique per author, so the same id from another author is another message.
    const bob = await server.signIn(server.bob);
    assert.notEqual((await bob.ask('send-message', ask)).messageId, first.messageId);
    const history = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.deepEqual(history.body.map((stored) => stored.message), ['once']);
  });

  test('a retry after a restart of the server gets the same acknowledgement', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const ask = { receiverId: server.admin.id, message: 'once', clientMessageId: 'm-1' };
    const first = await ann.ask('send-message', ask);
    await server.restart();
    await ann.waitFor('<connect>');
    await ann.waitFor('authenticated');
    assert.deepEqual(await ann.ask('send-message', ask), first);
    const history = await server.get(`/api/chat/messages/${server.admin.id}`, server.ann);
    assert.equal(history.body.length, 1);
  });
}
