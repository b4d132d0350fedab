// Many connections that are refused, aborted or closed at the same time. `DESKLINE_AT_SCALE=1000` sets their number. Prints figures;
// those of a long run are in docs/RELIABILITY.md.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { io } from 'socket.io-client';
import WebSocket from 'ws';

import { Server } from './server.mjs';

const MANY = Number(process.env.DESKLINE_AT_SCALE ?? 50);

/** Sockets of one person. Each new one makes the server ping all older ones, so their number is limited. */
const SOCKETS = 100;

/** Timeout of every wait, in milliseconds. */
const DEADLINE = 20_000;

const SOCKETIO = '/socket.io/?EIO=4';
const numbers = Array.from({ length: MANY }, (_, number) => number);

/** Runs a task for each number, at most 50 at a time. */
async function forMany(task) {
  const left = numbers.values();
  const worker = async () => {
    for (const number of left) await task(number);
  };
  await Promise.all(Array.from({ length: 50 }, worker));
}

/** The longest time and the median, in milliseconds. */
function spread(times) {
  const sorted = times.toSorted((a, b) => a - b);
  return `p50 ${sorted[sorted.length >> 1].toFixed(0)} ms, last ${sorted.at(-1).toFixed(0)} ms`;
}

/** A websocket of a person. `closed` resolves when it is closed. */
async function authenticated(server, account) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}${SOCKETIO}&transport=websocket`);
  socket.closed = new Promise((resolve) => socket.on('close', resolve));
  const seen = (wanted) =>
    new Promise((resolve) => socket.on('message', (data) => String(data).startsWith(wanted) && resolve(String(data))));
  const opened = seen('0{');
  const greeted = seen('40{');
  const known = seen('42["authenticated",{"success":true');
  const refused = seen('42["authenticated",{"success":false');
  await opened;
  socket.send('40');
  await greeted;
  socket.send(`42${JSON.stringify(['authenticate', server.token(account)])}`);
  await known;
  socket.refused = refused;
  return socket;
}

test('when all sessions of a person end, all their sockets lose their rights at once', async (t) => {
  const server = await Server.start(t, { args: ['--limit', 'handshakes=100000/1m'] });
  const sockets = [];
  await forMany(async (number) => number < SOCKETS && sockets.push(await authenticated(server, server.ann)));
  const others = await server.signIn(server.bob);
  const began = performance.now();
  const ended = sockets.map((socket) => socket.refused.then(() => performance.now() - began));
  assert.equal((await server.rest('POST', '/api/auth/logout-everywhere', { as: server.ann })).status, 200);
  const times = await Promise.all(ended);
  t.diagnostic(`log-out everywhere: ${sockets.length} sockets without rights after ${spread(times)}`);
  assert.ok(Math.max(...times) < 5000, spread(times));
  assert.equal((await others.send(server.admin, 'still here')).message, 'still here');
  for (const socket of sockets) socket.close();
  await Promise.all(sockets.map(({ closed }) => closed));
});

test('pages of foreign origins cannot open a session with a cookie, on any transport', async (t) => {
  const server = await Server.start(t);
  const foreign = ['https://evil.test', 'null', 'http://localhost:5174', 'https://localhost:5173', 'http://localhost:5173.evil.test'];
  const statuses = new Map();
  await forMany(async (number) => {
    const headers = { origin: foreign[number % foreign.length], cookie: `token=${server.token(server.ann)}` };
    const transport = ['polling', 'websocket'][number % 2];
    const path = number % 3 === 2 ? '/ws/chat/1/' : `${SOCKETIO}&transport=${transport}`;
    const status = path.includes('polling')
      ? (await server.rest('GET', path, { headers })).status
      : await new Promise((resolve, reject) => {
          const socket = new WebSocket(server.url.replace('http', 'ws') + path, { headers });
          socket.on('unexpected-response', (request, response) => (request.destroy(), resolve(response.statusCode)));
          socket.on('open', () => (socket.close(), resolve(101)));
          socket.on('error', reject);
        });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  });
  t.diagnostic(`foreign origins: ${MANY} handshakes answered with ${JSON.stringify(Object.fromEntries(statuses))}`);
  assert.deepEqual([...statuses], [[403, MANY]]);
});

test('a client that only knows the id of a session gets nothing and does not disturb it', async (t) => {
  const server = await Server.start(t);
  const as = server.token(server.ann);
  const opened = await server.rest('GET', `${SOCKETIO}&transport=polling`, { as });
  const path = `${SOCKETIO}&transport=polling&sid=${JSON.parse(opened.text.slice(1)).sid}`;
  /** Polls for the session's owner until a response contains this. */
  const poll = async (wanted) => {
    for (let answer = ''; !answer.includes(wanted); ) {
      const { status, text } = await server.rest('GET', path, { as });
      assert.equal(status, 200);
      answer = text;
    }
  };
  assert.equal((await server.rest('POST', path, { as, raw: '40' })).text, 'ok');
  await poll('40{');
  const statuses = new Map();
  await forMany(async (number) => {
    const stranger = { headers: {}, ...(number % 3 === 1 ? { as: server.token(server.bob) } : {}) };
    const { status } = await (number % 2 ? server.rest('POST', path, { ...stranger, raw: '41' }) : server.rest('GET', path, stranger));
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  });
  t.diagnostic(`a session's id: ${MANY} requests of others answered with ${JSON.stringify(Object.fromEntries(statuses))}`);
  assert.deepEqual([...statuses], [[400, MANY]]);
  assert.equal((await server.rest('POST', path, { as, raw: '421["authenticate"]' })).text, 'ok');
  await poll('431[');
});

/** When a proxy cuts its websockets, in milliseconds after the server has accepted them: before the upgrade, during it, and later. */
const CUTS = [0, 20, 100, 500, 2000];

/** A proxy that passes the handshakes of websockets, and then cuts their connections. */
async function cuttingWay(server, after) {
  const { hostname: host, port } = new URL(server.url);
  const sockets = new Set();
  const way = { requests: 0 };
  const listener = createServer((near) => {
    const far = connect({ host, port });
    const end = () => [near, far].forEach((socket) => (socket.destroy(), sockets.delete(socket)));
    for (const socket of [near, far]) sockets.add(socket.on('error', end).on('close', end));
    near.on('data', (data) => (way.requests += data.toString('latin1').split(' /socket.io').length - 1));
    far.on('data', (data) => data.toString('latin1').startsWith('HTTP/1.1 101') && setTimeout(end, after));
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  way.url = `http://127.0.0.1:${listener.address().port}`;
  way.close = () => (listener.close(), sockets.forEach((socket) => socket.destroy()));
  return way;
}

/** Resolves once a client has polled for longer than its websockets lasted, and for longer than it takes to try the next one. */
async function settled(client) {
  const { socket, after } = client;
  const began = performance.now();
  let since = began;
  while (performance.now() - since < after + 3000) {
    const polls = socket.connected && socket.io.engine.transport.name === 'polling' && !socket.io.engine.upgrading;
    if (!polls) since = performance.now();
    assert.ok(performance.now() - began < 4 * DEADLINE, `${after} ms: ${client.connects} connects, ${client.way.requests} requests`);
    await delay(20);
  }
  client.settledAt = since;
}

test('stock clients settle on polling where websockets are cut, and aborted upgrades cause no flood of requests', async (t) => {
  // A client that is cut off in the middle of the upgrade has paused its polls, and notices only when the heartbeat
  // fails.
  const server = await Server.start(t, { args: ['--ping-interval', '1s', '--ping-timeout', '2s'] });
  const began = performance.now();
  const clients = await Promise.all(CUTS.map(async (after) => {
    const way = await cuttingWay(server, after);
    // Each is a separate browser. Otherwise, the server would apply to all what it has learned from one of them.
    const extraHeaders = { 'user-agent': `a browser that is cut off after ${after} ms` };
    const socket = io(way.url, { reconnectionDelay: 100, reconnectionDelayMax: 500, forceNew: true, extraHeaders });
    const client = { after, way, socket, connects: 0 };
    socket.on('connect', () => {
      client.connects += 1;
      socket.emit('authenticate', server.token(server.ann));
    });
    return client;
  }));
  try {
    await Promise.all(clients.map(settled));
    const received = clients.map(({ socket }) => new Promise((resolve) => socket.on('receive-message', resolve)));
    const admin = await server.signIn(server.admin);
    await admin.send(server.ann, 'by polling');
    for (const [index, { after, way, connects, settledAt }] of clients.entries()) {
      const event = await Promise.race([received[index], delay(DEADLINE, {})]);
      assert.equal(event.message, 'by polling', `${after} ms`);
      const seconds = ((settledAt - began) / 1000).toFixed(1);
      t.diagnostic(`websockets cut after ${after} ms: ${connects} connects, ${way.requests} requests, on polling after ${seconds} s`);
      assert.ok(connects <= 4 && way.requests <= 200, `${after} ms: ${connects} connects, ${way.requests} requests`);
    }
  } finally {
    for (const { socket, way } of clients) (socket.close(), way.close());
  }
});
