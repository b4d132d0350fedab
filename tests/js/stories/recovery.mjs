// Connection state recovery of the stock client: a page that loses its connection continues where it was. The server
// offers it to browsers, so these clients send a browser's headers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Network } from '../network.mjs';

const BROWSER = { extraHeaders: { 'User-Agent': 'Mozilla/5.0 (test)' } };

/** The texts that a client has received, its own included, in order. */
function shown(client) {
  const names = ['receive-message', 'message-sent'];
  return client.events.filter(({ name }) => names.includes(name)).map(({ args }) => args[0].message);
}

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`);

/** Waits until a client has received this text. */
const got = (client, text) =>
  shown(client).includes(text)
    ? undefined
    : Promise.race(['receive-message', 'message-sent'].map((name) => client.waitFor(name, (sent) => sent.message === text)));

export default function stories(start) {
  const page = (server, account, options = {}) => server.signIn(account, { ...BROWSER, ...options });

  test('recovery: a page continues where it was, with the messages sent meanwhile, its own included', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const ann = await page(server, server.ann, { reconnectionDelay: 500 });
    const tab = await server.signIn(server.ann, { name: 'ann, tab 2' });
    await admin.send(server.ann, '1');
    await got(ann, '1');
    await ann.drop();
    await admin.send(server.ann, '2');
    await tab.send(server.admin, '3');
    await admin.send(server.ann, '4');
    await ann.waitFor('<connect>');
    assert.equal(ann.socket.recovered, true);
    await got(ann, '4');
    await admin.send(server.ann, '5');
    await got(ann, '5');
    await ann.roundTrip();
    assert.deepEqual(shown(ann), numbers(1, 5));
    assert.deepEqual(ann.all('message-sent').map((sent) => sent.message), ['3']);
    assert.deepEqual(shown(tab).filter((text) => text !== '3'), ['1', '2', '4', '5']);
  });

  test('recovery: each message arrives once and in order, however often the connection and the server are lost', async (t) => {
    const server = await start(t);
    const admin = await page(server, server.admin);
    const ann = await page(server, server.ann);
    const bob = await page(server, server.bob);
    let sent = 0;
    for (let round = 0; round < 8; round += 1) {
      for (const [client, to] of [[admin, server.ann], [bob, server.admin], [admin, server.bob]]) {
        for (let part = 0; part < 3; part += 1) client.emit('send-message', { receiverId: to.id, message: `${(sent += 1)}` });
      }
      await delay(30);
      if (round % 4 === 3) {
        await server.crash();
      } else {
        for (const client of [ann, admin, bob]) client.engine.close();
      }
      for (const client of [ann, admin, bob]) {
        await client.waitFor('<connect>');
        assert.equal(client.socket.recovered, true, client.name);
      }
    }
    for (const to of [server.ann, server.bob]) {
      admin.emit('send-message', { receiverId: to.id, message: `the end, ${to.name}` });
    }
    await Promise.all([got(ann, 'the end, Ann'), got(bob, 'the end, Bob'), got(admin, 'the end, Bob')]);
    const ofLog = async (reader, other) => {
      const { body } = await server.get(`/api/chat/messages/${other.id}`, reader);
      return body.map((stored) => stored.message);
    };
    assert.deepEqual(shown(ann), await ofLog(server.ann, server.admin));
    assert.deepEqual(shown(bob), await ofLog(server.bob, server.admin));
    const both = [...(await ofLog(server.admin, server.ann)), ...(await ofLog(server.admin, server.bob))];
    assert.deepEqual([...shown(admin)].sort(), both.sort(), 'what an agent was sent is not what there is');
  });

  test('recovery: one tab loses its connection while the other keeps it', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const tabs = [await page(server, server.ann, { reconnectionDelay: 1000 }), await page(server, server.ann)];
    await admin.send(server.ann, '1');
    await got(tabs[0], '1');
    await tabs[0].drop();
    await admin.send(server.ann, '2');
    await got(tabs[1], '2');
    await tabs[1].settle();
    await tabs[0].waitFor('<connect>');
    await got(tabs[0], '2');
    await admin.send(server.ann, '3');
    for (const tab of tabs) {
      await got(tab, '3');
      assert.deepEqual(shown(tab), numbers(1, 3), tab.name);
    }
  });

  test('recovery: messages sent to a half-open connection arrive at once on the next one, and only there', async (t) => {
    const server = await start(t, '--ping-interval', '1s', '--ping-timeout', '2s');
    const network = await Network.open(t, server.url);
    const admin = await server.signIn(server.admin);
    const ann = await page(server, server.ann, { url: network.url });
    await admin.send(server.ann, '1');
    await got(ann, '1');
    network.failThoseOpen();
    await admin.send(server.ann, '2');
    await ann.drop();
    await ann.waitFor('<connect>');
    assert.equal(ann.socket.recovered, true);
    await got(ann, '2');
    // Longer than it takes to detect that the old connection is dead.
    await delay(5000);
    await admin.send(server.ann, '3');
    await got(ann, '3');
    assert.deepEqual(shown(ann), numbers(1, 3));
  });

  test('recovery: a page that has removed its listeners is authenticated, too', async (t) => {
    const server = await start(t);
    const ann = await page(server, server.ann);
    const admin = await server.signIn(server.admin);
    ann.socket.off();
    ann.engine.close();
    const received = [];
    ann.socket.onAny((name, ...args) => received.push([name, args[0]]));
    await new Promise((resolve) => ann.socket.once('connect', resolve));
    ann.socket.emit('send-message', { receiverId: server.admin.id, message: 'not lost' });
    await got(admin, 'not lost');
    await ann.roundTrip();
    assert.ok(received.some(([name, answer]) => name === 'authenticated' && answer.success === true), JSON.stringify(received));
    assert.ok(!received.some(([name]) => name === 'error'), JSON.stringify(received));
  });

  test('recovery: an own message is shown, although the connection that it was sent on is lost', async (t) => {
    const server = await start(t);
    const ann = await page(server, server.ann);
    const admin = await server.signIn(server.admin);
    ann.emit('send-message', { receiverId: server.admin.id, message: 'mine' });
    await got(admin, 'mine');
    // The confirmation may or may not have arrived by now.
    ann.engine.close();
    await ann.waitFor('<connect>');
    await got(ann, 'mine');
    await ann.roundTrip();
    assert.deepEqual(shown(ann), ['mine']);
  });

  test('recovery: no recovery for blocked people, with an expired token, or with the pid of another page', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    const ann = await page(server, server.ann);
    const { _pid: pid, _lastOffset: offset } = ann.socket;
    const forge = async (name, auth) => {
      const forger = await server.connect(name, { ...BROWSER, auth });
      await forger.roundTrip();
      assert.deepEqual(forger.all('authenticated'), [], name);
      assert.notEqual(forger.socket._pid, pid, name);
    };
    await forge('another page', { pid: 'f'.repeat(32), offset });
    const other = offset[0] === 'A' ? 'B' : 'A';
    await forge('another person', { pid, offset: other + offset.slice(1) });
    await forge('nonsense', { pid: 7, offset: { a: 1 } });
    await forge('no offset', { pid });

    const bob = await server.connect('bob', BROWSER);
    bob.emit('authenticate', server.token(server.bob, { ttl: 2 }));
    await bob.waitFor('authenticated', ({ success }) => success);
    await bob.roundTrip();
    const before = { pid: bob.socket._pid, offset: bob.socket._lastOffset };
    await delay(2500);
    await forge('an expired token', before);

    await server.rest('PUT', `/api/admin/updateuser/${server.ann.id}`, { as: server.admin, body: { status: 'Blocked' } });
    await forge('a blocked account', { pid, offset });
    assert.ok(admin.socket.connected);
  });

  test('recovery: no recovery after a log-out, a log-out everywhere, or a new password', async (t) => {
    const server = await start(t);
    const endings = {
      'log-out': (token) => server.rest('POST', '/api/auth/logout', { as: token, body: {} }),
      'log-out everywhere': (token) => server.rest('POST', '/api/auth/logout-everywhere', { as: token }),
      'a new password': () => server.user(['password', server.ann.email], 'another-password-1\n'),
    };
    for (const [name, end] of Object.entries(endings)) {
      const token = server.token(server.ann);
      const ann = await page(server, server.ann, { name, token });
      const auth = { pid: ann.socket._pid, offset: ann.socket._lastOffset };
      await end(token);
      await ann.waitFor('authenticated', ({ success }) => !success);
      ann.close();
      const back = await server.connect(`after ${name}`, { ...BROWSER, auth });
      await back.roundTrip();
      assert.deepEqual(back.all('authenticated'), [], name);
      assert.notEqual(back.socket._pid, auth.pid, name);
      // New tokens are dated to the next second.
      await delay(1100);
    }
  });

  test('recovery: works in every namespace', async (t) => {
    const server = await start(t);
    const admin = await server.signIn(server.admin);
    for (const namespace of ['/chat', '/support']) {
      const ann = await page(server, server.ann, { name: namespace, url: server.url + namespace });
      await ann.drop();
      await admin.send(server.ann, namespace);
      await ann.waitFor('<connect>');
      assert.equal(ann.socket.recovered, true, namespace);
      await got(ann, namespace);
      await ann.roundTrip();
      assert.deepEqual(shown(ann).filter((text) => text === namespace), [namespace]);
      ann.close();
    }
  });

  test('recovery: clients other than browsers get no additional arguments', async (t) => {
    const server = await start(t);
    const [ann, admin] = [await server.signIn(server.ann), await server.signIn(server.admin)];
    await admin.send(server.ann, 'hello');
    await ann.waitFor('receive-message');
    assert.equal(ann.socket._pid, undefined);
    for (const { name, args } of ann.events.filter(({ name }) => !name.startsWith('<'))) {
      assert.equal(args.length, 1, name);
    }
  });
}
