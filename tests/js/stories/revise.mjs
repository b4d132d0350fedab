// `edit-message`, `delete-message`, and their effects.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { STAMP } from '../expect.mjs';

export default function stories(start) {
  /** Ann, an agent, and Ann's messages to the desk. */
  const talk = async (t, ...texts) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    const sent = [];
    for (const text of texts) sent.push(await ann.send(server.admin, text));
    for (const message of sent) await admin.waitFor('receive-message', message);
    await ann.drain();
    return { server, ann, admin, sent };
  };
  const history = async (server, as, other) => (await server.get(`/api/chat/messages/${other.id}`, as)).body;
  const resume = async (client, { conversationId }) =>
    (await client.ask('resume', { conversations: { [conversationId]: 0 } })).conversations[conversationId].entries;

  test('an edit is sent to both sides, and everybody sees the new text from then on', async (t) => {
    const { server, ann, admin, sent: [first, last] } = await talk(t, 'frist', 'last');
    const tab = await server.signIn(server.ann, { name: 'ann, tab 2' });
    const answer = await ann.ask('edit-message', { messageId: first._id, message: '  first ' });
    const { at, ...rest } = answer;
    const { conversationId } = first;
    assert.deepEqual(rest, { ok: true, success: true, messageId: first._id, conversationId, seq: last.seq + 1 });
    assert.match(at, STAMP);
    const edited = {
      messageId: first._id, conversationId, seq: last.seq + 1, message: 'first', editedAt: at, editedBy: server.ann.id,
    };
    for (const client of [ann, tab, admin]) await client.waitFor('message-edited', edited);
    await ann.ask('edit-message', { messageId: last._id, message: 'the last' });
    for (const client of [ann, tab, admin]) await client.waitFor('message-edited');

    const stored = await history(server, server.admin, server.ann);
    assert.deepEqual(stored.map(({ message }) => message), ['first', 'the last']);
    assert.deepEqual([stored[0].editedAt, stored[0].updatedAt, stored[0].createdAt], [at, at, first.createdAt]);
    const { body: [listed] } = await server.get('/api/chat/conversations', server.admin);
    assert.deepEqual([listed.lastMessage, listed.lastMessageTime], ['the last', last.createdAt]);
    const entries = await resume(ann, first);
    assert.deepEqual(entries.slice(0, 4).map(({ kind }) => kind), ['message', 'message', 'edit', 'edit']);
    assert.deepEqual([entries[0].entry.message, entries[0].entry.editedAt], ['first', at]);
    assert.deepEqual(entries[2].entry, edited);
  });

  test('repeating an edit gets the same acknowledgement and publishes nothing', async (t) => {
    const { ann, admin, sent: [message] } = await talk(t, 'one');
    const first = await ann.ask('edit-message', { messageId: message._id, message: 'uno' });
    await ann.waitFor('message-edited');
    await admin.waitFor('message-edited');
    assert.deepEqual(await ann.ask('edit-message', { messageId: message._id, message: 'uno' }), first);
    const gone = await ann.ask('delete-message', { messageId: message._id });
    assert.equal(gone.seq, first.seq + 1);
    await ann.waitFor('message-deleted');
    await admin.waitFor('message-deleted');
    assert.deepEqual(await ann.ask('delete-message', { messageId: message._id }), gone);
    await admin.drain();
    await Promise.all([ann.nothingMore(), admin.nothingMore()]);
  });

  test('a deletion is sent to both sides, and nobody sees the text again', async (t) => {
    const { server, ann, admin, sent } = await talk(t, 'keep', 'a secret');
    const [keep, secret] = sent;
    await ann.ask('edit-message', { messageId: secret._id, message: 'another secret' });
    const { at, seq } = await ann.ask('delete-message', { messageId: secret._id });
    const { conversationId } = secret;
    const deleted = { messageId: secret._id, conversationId, seq, deletedAt: at, deletedBy: server.ann.id };
    for (const client of [ann, admin]) await client.waitFor('message-deleted', deleted);

    const { body: { count } } = await server.get('/api/chat/unread-count', server.admin);
    assert.equal(count, 1, 'what is gone does not wait to be read');
    const { body: [listed] } = await server.get('/api/chat/conversations', server.admin);
    assert.deepEqual([listed.lastMessage, listed.unreadCount], ['keep', 1]);
    for (const client of [ann, admin]) {
      const entries = await resume(client, keep);
      assert.deepEqual(entries.map(({ kind }) => kind), ['message', 'message', 'edit', 'delete']);
      assert.deepEqual(['message' in entries[1].entry, entries[1].entry.deletedAt], [false, at]);
      assert.equal('message' in entries[2].entry, false, 'nor the text in between');
      assert.deepEqual(entries[3].entry, deleted);
      assert.doesNotMatch(JSON.stringify(entries), /secret/);
    }
    await server.crash();
    for (const [as, other] of [[server.ann, server.admin], [server.admin, server.ann]]) {
      assert.deepEqual((await history(server, as, other)).map(({ message }) => message), ['keep']);
    }
  });

  test('catching up sends current texts, and no deleted messages', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const [one, two] = [await ann.send(server.admin, 'one'), await ann.send(server.admin, 'two')];
    await ann.send(server.admin, 'three');
    await ann.ask('edit-message', { messageId: one._id, message: 'uno' });
    await ann.ask('delete-message', { messageId: two._id });
    const admin = await server.connect('admin');
    admin.emit('authenticate', server.token(server.admin));
    await admin.waitFor('receive-message', ({ message }) => message === 'three');
    await admin.roundTrip();
    assert.deepEqual(admin.all('receive-message').map(({ message }) => message), ['uno', 'three']);
    assert.match(admin.all('receive-message')[0].editedAt, STAMP);
    const retried = await ann.ask('edit-message', { messageId: one._id, message: 'eins' });
    assert.equal((await admin.waitFor('message-edited')).seq, retried.seq, 'and from then on it is live');
  });

  test('a message that is sent again after it was deleted stays deleted', async (t) => {
    const { server, ann, admin } = await talk(t);
    const ask = { receiverId: server.admin.id, message: 'oops', clientMessageId: 'm1' };
    const sent = await ann.ask('send-message', ask);
    await ann.ask('delete-message', { messageId: sent.messageId });
    await admin.waitFor('message-deleted');
    await Promise.all([ann.waitFor('message-deleted'), ann.waitFor('message-sent'), admin.waitFor('receive-message')]);
    assert.deepEqual(await ann.ask('send-message', ask), sent);
    await admin.drain();
    await Promise.all([ann.nothingMore(), admin.nothingMore()]);
    const rest = await server.rest('POST', '/api/chat/send', { as: server.ann, body: ask });
    assert.deepEqual([rest.status, rest.body.message, typeof rest.body.deletedAt], [201, undefined, 'string']);
  });

  test('only the author edits; the author and agents delete', async (t) => {
    const { server, ann, admin, sent: [hers] } = await talk(t, 'hers');
    const second = await server.signIn(server.second);
    const bob = await server.signIn(server.bob);
    const desks = await admin.send(server.ann, 'the desk\'s');
    const direct = await ann.send(server.bob, 'between us');
    const edit = (client, { _id: messageId }) => client.ask('edit-message', { messageId, message: 'changed' });
    const del = (client, { _id: messageId }) => client.ask('delete-message', { messageId });
    const code = async (answer) => (await answer).code;
    assert.equal(await code(edit(admin, hers)), 'forbidden');
    assert.equal(await code(edit(second, desks)), 'forbidden', 'an agent cannot edit the message of another one');
    assert.equal(await code(edit(ann, desks)), 'forbidden');
    assert.equal(await code(del(ann, desks)), 'forbidden');
    assert.equal(await code(edit(bob, direct)), 'forbidden');
    assert.equal(await code(del(bob, direct)), 'forbidden');
    for (const refused of [edit(bob, hers), del(bob, hers), edit(admin, direct), del(admin, direct)]) {
      assert.equal(await code(refused), 'not_found', 'the response reveals nothing about others\' conversations');
    }
    assert.equal((await edit(admin, desks)).ok, true);
    assert.equal((await del(second, desks)).ok, true);
    assert.equal((await del(admin, hers)).ok, true);
    assert.equal(await code(edit(ann, hers)), 'not_found');
    assert.equal((await ann.waitFor('message-deleted', ({ messageId }) => messageId === hers._id)).deletedBy,
      server.admin.id, 'to a customer the desk is one');
  });

  test('invalid edits are refused with a code', async (t) => {
    const server = await start(t, '--send-rate', '1');
    const ann = await server.connect('ann');
    const nobodys = '0123456789abcdef01234567';
    const edit = (payload) => ann.ask('edit-message', payload);
    assert.equal((await edit({ messageId: nobodys, message: 'x' })).code, 'unauthenticated');
    assert.equal((await ann.ask('delete-message', { messageId: nobodys })).code, 'unauthenticated');
    await ann.signIn(server.token(server.ann));
    const { messageId } = await ann.ask('send-message', { receiverId: server.admin.id, message: 'one' });
    assert.equal((await edit({ messageId: nobodys, message: 'x' })).code, 'not_found');
    assert.equal((await ann.ask('delete-message', { messageId: nobodys })).code, 'not_found');
    for (const message of ['', '   ', 'a\0b', 5, null, undefined, {}]) {
      assert.equal((await edit({ messageId, message })).code, 'invalid', JSON.stringify(message));
    }
    for (const payload of [null, 5, [], 'x', {}, { messageId: 5, message: 'x' }, { messageId: 'x', message: 'x' }]) {
      assert.equal((await edit(payload)).code, 'invalid', JSON.stringify(payload));
      assert.equal((await ann.ask('delete-message', payload)).code, 'invalid', JSON.stringify(payload));
    }
    assert.equal((await edit({ messageId, message: 'x'.repeat(1_000_001) })).code, 'too_large');
    const refused = [];
    for (let index = 0; index < 30; index += 1) refused.push(await edit({ messageId, message: `text ${index}` }));
    const limited = refused.find(({ ok }) => !ok);
    assert.equal(limited.code, 'rate_limited');
    assert.ok(limited.retryAfterMs > 0);
    assert.ok(limited.retryable);
  });
}
