// The console's Socket.IO client, without the console: against a real server, over a websocket and over long-polling.

import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import WebSocket from 'ws';

import { DEADLINE } from './client.mjs';
import { eventually } from './expect.mjs';
import { Network, withoutWebSocket } from './network.mjs';
import { ROOT, Server } from './server.mjs';

const AT_ONCE = { concurrency: 6 };

/** A websocket that fails as in browsers: with a `close`, and without an exception. */
class PageWebSocket extends WebSocket {
  constructor(...args) {
    super(...args);
    this.on('error', () => {});
  }
}
globalThis.WebSocket = PageWebSocket;

/** Imports the files as modules. Node requires a package.json beside them that says what they are. */
async function load() {
  const folder = mkdtempSync(join(tmpdir(), 'deskline-console-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const name of ['socket.js', 'transports.js']) cpSync(join(ROOT, 'src/faces/console/assets', name), join(folder, name));
  return import(pathToFileURL(join(folder, 'socket.js')).href);
}
const { NO_ANSWER, Socket } = await load();

/** A console's socket, and what it receives, until the end of the test. */
class Console {
  events = [];
  connections = 0;
  disconnections = 0;

  constructor(t, url) {
    this.socket = new Socket(url, {
      connected: () => this.connections++,
      disconnected: () => this.disconnections++,
      event: (name, argument) => this.events.push({ name, argument }),
    });
    t.after(() => this.socket.close());
  }

  ask(name, argument, patience = DEADLINE) {
    return new Promise((answered) => this.socket.ask(name, argument, patience, answered));
  }

  async signIn(server, account = server.admin) {
    await eventually(() => this.socket.isConnected);
    const answer = await this.ask('authenticate', { token: server.token(account), catchUp: false, receipts: true });
    assert.equal(answer.ok, true, JSON.stringify(answer));
  }

  texts() {
    return this.events.filter(({ name }) => name === 'receive-message').map(({ argument }) => argument.message);
  }
}

/** Calls `seen` with each packet that arrives from a server, over either transport, until the end of the test. */
function watchPackets(t, server, seen) {
  const { host } = new URL(server);
  globalThis.WebSocket = class extends PageWebSocket {
    constructor(url) {
      super(url);
      if (url.host === host) this.addEventListener('message', ({ data }) => seen(data));
    }
  };
  const fetch = globalThis.fetch;
  globalThis.fetch = async (url, options) => {
    const answer = await fetch(url, options);
    if (url.host === host) answer.clone().text().then((text) => text.split('\x1e').forEach(seen), () => {});
    return answer;
  };
  t.after(() => Object.assign(globalThis, { WebSocket: PageWebSocket, fetch }));
}

for (const isPolling of [false, true]) {
  const way = (t, url) => (isPolling ? withoutWebSocket(t, url) : url);

  describe(isPolling ? 'over long-polling' : 'over a websocket', AT_ONCE, () => {
    test('events and acknowledgements arrive unchanged, whatever they contain', async (t) => {
      const server = await Server.start(t);
      const console = new Console(t, await way(t, server.url));
      await console.signIn(server);
      const ann = await server.signIn(server.ann);
      const texts = ['plain', '"quoted" \\ [1,{}]', 'ünï \u2028 cödé 😀', '42["x"]', '\x1e', '0', '𝄞'.repeat(5000)];
      for (const text of texts) {
        assert.equal((await ann.ask('send-message', { receiverId: server.admin.id, message: text })).ok, true);
        const answer = await console.ask('send-message', { receiverId: server.ann.id, message: text });
        assert.equal(answer.ok, true, JSON.stringify(answer));
        assert.equal((await ann.waitFor('receive-message')).message, text);
      }

      console.socket.emit('typing', { receiverId: server.ann.id });
      await ann.waitFor('user-typing');
    });

    test('many events at once arrive in order, and each gets its own acknowledgement', async (t) => {
      const server = await Server.start(t);
      const console = new Console(t, await way(t, server.url));
      await console.signIn(server);
      const ann = await server.signIn(server.ann);
      // More than fit into one request.
      const texts = Array.from({ length: 40 }, (_, index) => `message ${index}`);
      const answers = await Promise.all(texts.map((message) => console.ask('send-message', { receiverId: server.ann.id, message })));
      assert.deepEqual(answers.map(({ seq }) => seq), texts.map((_, index) => index + 1));
      await ann.waitFor('receive-message', ({ message }) => message === texts.at(-1));
      assert.deepEqual(ann.all('receive-message').map(({ message }) => message), texts);
    });

    test('an event that is too large for a connection is refused by the client, and the connection stays open', async (t) => {
      const server = await Server.start(t);
      const console = new Console(t, await way(t, server.url));
      await console.signIn(server);
      const ask = (message) => console.ask('send-message', { receiverId: server.ann.id, message });
      assert.equal((await ask('€'.repeat(700_000))).code, 'too_large');
      assert.equal((await ask('x'.repeat(1_500_000))).code, 'too_large', 'by the server');
      assert.equal((await ask('fits')).ok, true);
      assert.deepEqual([console.connections, console.disconnections], [1, 0]);
    });

    test('it reconnects after a crash, and pending requests are answered', async (t) => {
      const server = await Server.start(t);
      const console = new Console(t, await way(t, server.url));
      await console.signIn(server);
      await server.kill();
      const lost = console.ask('send-message', { receiverId: server.ann.id, message: 'lost' });
      assert.deepEqual(await lost, NO_ANSWER);
      assert.deepEqual(await console.ask('send-message', {}), NO_ANSWER, 'without a connection at once');
      await server.restart();
      await console.signIn(server);
      const ann = await server.signIn(server.ann);
      await ann.ask('send-message', { receiverId: server.admin.id, message: 'back' });
      await eventually(() => console.texts().includes('back'));
    });

    test('the connection to a silent server is closed', async (t) => {
      const server = await Server.start(t, { args: ['--ping-interval', '1s', '--ping-timeout', '1s'] });
      const network = await Network.open(t, await way(t, server.url));
      const console = new Console(t, network.url);
      await console.signIn(server);
      network.failThoseOpen();
      await eventually(() => console.disconnections > 0);
      await console.signIn(server);
    });

    test('it answers pings, and an idle connection stays open', async (t) => {
      const server = await Server.start(t, { args: ['--ping-interval', '300ms', '--ping-timeout', '2s'] });
      let pings = 0;
      const url = await way(t, server.url);
      watchPackets(t, url, (packet) => (pings += packet === '2'));
      const console = new Console(t, url);
      await console.signIn(server);
      const ann = await server.signIn(server.ann);
      // Longer than a connection that does not answer pings stays open.
      await eventually(() => pings >= 10);
      assert.deepEqual([console.connections, console.disconnections], [1, 0]);
      await ann.ask('send-message', { receiverId: server.admin.id, message: 'still there' });
      await eventually(() => console.texts().includes('still there'));
    });

    test('waiting for an acknowledgement times out', async (t) => {
      const server = await Server.start(t);
      const network = await Network.open(t, await way(t, server.url));
      const console = new Console(t, network.url);
      await console.signIn(server);
      network.fail();
      assert.deepEqual(await console.ask('resume', { conversations: {} }, 200), NO_ANSWER);
    });

    test('after `close` it is disconnected at once, and does not reconnect', async (t) => {
      const server = await Server.start(t);
      const second = await server.signIn(server.second);
      const console = new Console(t, await way(t, server.url));
      await console.signIn(server, server.ann);
      await second.waitFor('user-online', { userId: server.ann.id });
      console.socket.close();
      await second.waitFor('user-offline', { userId: server.ann.id });
      assert.deepEqual([console.connections, console.disconnections, console.socket.isConnected], [1, 1, false]);
    });
  });
}

test('on a network that ignores websockets, it polls', async (t) => {
  const server = await Server.start(t);
  const console = new Console(t, await withoutWebSocket(t, server.url, { ignores: true }));
  await console.signIn(server);
  assert.deepEqual([console.connections, console.disconnections], [1, 0]);
});

test('a page that reconnects recovers with its pid and offset', async (t) => {
  const server = await Server.start(t);
  // The server offers recovery to browsers.
  globalThis.WebSocket = class extends PageWebSocket {
    constructor(url) {
      super(url, { headers: { 'user-agent': 'Mozilla/5.0' } });
    }
  };
  t.after(() => (globalThis.WebSocket = PageWebSocket));
  const console = new Console(t, server.url);
  await console.signIn(server);
  console.socket.reconnect(0);
  await eventually(() => console.connections === 2);
  // Without having sent anything.
  await eventually(() => console.events.filter(({ name }) => name === 'authenticated').length === 2);
  assert.equal(console.events.findLast(({ name }) => name === 'authenticated').argument.success, true);
});

test('its reconnect delay grows, with jitter, until it was connected for a while', async (t) => {
  const listener = createServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => listener.close());
  const random = t.mock.method(Math, 'random', () => 0.5);
  const waits = [];
  const real = globalThis.setTimeout;
  const mocked = t.mock.method(globalThis, 'setTimeout', (what, wait, ...rest) => {
    // The timer of ten seconds is that of a handshake; the others elapse at once.
    if (wait >= 10_000) return real(what, wait, ...rest);
    if (wait >= 300) waits.push(wait);
    return real(what, wait >= 300 ? 1 : wait, ...rest);
  });
  const console = new Console(t, `http://127.0.0.1:${listener.address().port}`);
  while (waits.length < 7) await new Promise((done) => setImmediate(done));
  console.socket.close();
  mocked.mock.restore();
  assert.deepEqual(waits.slice(0, 7), [600, 1200, 2400, 4800, 5000, 5000, 5000]);
  assert.ok(random.mock.callCount() >= 7);
});
