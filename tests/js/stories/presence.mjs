// `user-online`, `user-offline`.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../expect.mjs';

export default function stories(start) {
  test('agents get the presence of customers and of each other; customers only that of the desk', async (t) => {
    const server = await start(t);
    const ann = await server.signIn(server.ann);
    const second = await server.signIn(server.second);
    // The desk goes online. Customers see it under the support identity, whichever agent connects.
    await ann.waitFor('user-online', { userId: server.admin.id });
    const admin = await server.signIn(server.admin);
    await second.waitFor('user-online', { userId: server.admin.id });
    const bob = await server.signIn(server.bob);
    for (const agent of [admin, second]) await agent.waitFor('user-online', { userId: server.bob.id });
    for (const client of [ann, bob, admin, second]) await client.nothingMore();
    bob.close();
    for (const agent of [admin, second]) await agent.waitFor('user-offline', { userId: server.bob.id });
    await ann.nothingMore();
  });

  test('clients get the current presence after they authenticate', async (t) => {
    const server = await start(t);
    await server.signIn(server.ann);
    await server.signIn(server.second);
    const admin = await server.connect('admin');
    admin.emit('authenticate', server.token(server.admin));
    await admin.waitFor('authenticated');
    for (const account of [server.admin, server.ann, server.second]) {
      await admin.waitFor('user-online', { userId: account.id });
    }
    await admin.nothingMore();
    const bob = await server.connect('bob');
    bob.emit('authenticate', server.token(server.bob));
    await bob.waitFor('authenticated');
    await bob.waitFor('user-online', { userId: server.bob.id });
    await bob.waitFor('user-online', { userId: server.admin.id });
    await bob.nothingMore();
  });

  test('people are offline when their last connection is closed and they do not reconnect within the grace period', async (t) => {
    const server = await start(t, '--offline-grace', '3s');
    const admin = await server.signIn(server.admin);
    const ann = await server.signIn(server.ann);
    await admin.waitFor('user-online', { userId: server.ann.id });
    const tab = await server.signIn(server.ann, { name: 'ann, tab 2' });
    await admin.waitFor('user-online', { userId: server.ann.id });
    tab.close();
    await admin.nothingMore(3500);
    ann.close();
    const reloaded = await server.signIn(server.ann, { name: 'ann, reloaded' });
    await admin.waitFor('user-online', { userId: server.ann.id });
    await admin.nothingMore(3500);
    const closedAt = Date.now();
    reloaded.close();
    await admin.waitFor('user-offline', { userId: server.ann.id });
    assert.ok(Date.now() - closedAt >= 2990, 'not before the grace period is over');
    await admin.nothingMore();
  });

  test('the desk is offline when the last agent is', async (t) => {
    const server = await start(t);
    const [admin, second] = [await server.signIn(server.admin), await server.signIn(server.second)];
    const ann = await server.signIn(server.ann);
    admin.close();
    await second.waitFor('user-offline', { userId: server.admin.id });
    await ann.nothingMore();
    second.close();
    await ann.waitFor('user-offline', { userId: server.admin.id });
    await server.signIn(server.second);
    await ann.waitFor('user-online', { userId: server.admin.id });
    await ann.nothingMore();
  });

  test('people who connect for a moment only do not stay online', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    for (let round = 0; round < 12; round += 1) {
      const ann = await server.connect(`ann ${round}`);
      ann.emit('authenticate', server.token(server.ann));
      // Some disconnect before, some during and some after their authentication.
      if (round % 3 > 0) await new Promise(round % 3 === 1 ? setImmediate : (resolve) => setTimeout(resolve, 3));
      ann.close();
    }
    // An agent who connects late gets the presence, in the end without Ann.
    await eventually(async () => {
      const tab = await server.connect('admin, tab 2');
      tab.emit('authenticate', server.token(server.admin));
      await tab.waitFor('authenticated');
      await tab.roundTrip();
      tab.close();
      return !tab.all('user-online').some(({ userId }) => userId === server.ann.id);
    });
    await admin.waitFor('user-offline', { userId: server.ann.id });
  });

  test('an unauthenticated socket gets no presence', async (t) => {
    const server = await start(t);
    const anon = await server.connect('anon');
    const admin = await server.signIn(server.admin);
    const ann = await server.signIn(server.ann);
    await ann.send(server.admin, 'hello');
    ann.emit('typing', { receiverId: server.admin.id });
    await admin.waitFor('user-typing');
    ann.close();
    await admin.waitFor('user-offline');
    await anon.nothingMore();
  });
}
