// A TCP proxy between a page and the server, which fails on command in all the ways in which networks fail.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** One direction of a link. Passes on bytes in order, after a delay, unless it is held or silent. */
class Direction {
  #queue = [];
  #timer;
  isHeld = false;
  isSilent = false;

  constructor(from, to, proxy) {
    this.to = to;
    from.on('data', (chunk) => {
      if (this.isSilent) return;
      this.#queue.push({ chunk, due: Date.now() + proxy.delayMs });
      this.flush();
    });
    from.on('end', () => {
      if (this.isSilent) return;
      this.#queue.push({ due: Date.now() + proxy.delayMs });
      this.flush();
    });
  }

  flush() {
    clearTimeout(this.#timer);
    while (!this.isHeld && !this.isSilent && this.#queue.length > 0) {
      const wait = this.#queue[0].due - Date.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.flush(), wait);
        return;
      }
      const { chunk } = this.#queue.shift();
      if (chunk) this.to.write(chunk);
      else this.to.end();
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#queue = [];
  }
}

/** One connection through the proxy. `toServer` and `toClient` are its two directions. */
export class Link {
  constructor(client, server, proxy) {
    this.client = client;
    this.server = server;
    /** The path of the first request. */
    client.once('data', (chunk) => (this.path = chunk.toString('latin1').split(' ', 2)[1]));
    /** Whether the server may send something on it at any time: it is a websocket, or a pending poll. */
    this.isListening = false;
    client.on('data', (chunk) => (this.isListening ||= chunk.subarray(0, 4).equals(Buffer.from('GET '))));
    server.on('data', (chunk) => {
      if (chunk.subarray(0, 10).equals(Buffer.from('HTTP/1.1 2'))) this.isListening = false;
    });
    this.toServer = new Direction(client, server, proxy);
    this.toClient = new Direction(server, client, proxy);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      // On a silent link, the remaining socket stays open: neither side may notice that the other one is gone.
      socket.on('close', () => this.toServer.isSilent || this.toClient.isSilent || this.#close());
    }
    this.closed = Promise.all([once(client, 'close'), once(server, 'close')]);
  }

  #close() {
    this.toServer.close();
    this.toClient.close();
    this.client.destroy();
    this.server.destroy();
  }

  /** Ends both halves with a FIN, as a proxy or a server that stops does. */
  cut() {
    this.toServer.close();
    this.toClient.close();
    this.client.end();
    this.server.end();
  }

  /** Ends both halves with a RST, as a crashed peer or a firewall does. */
  reset() {
    this.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }

  /** Passes on nothing more, and notifies neither side: a half-open connection. */
  silence() {
    this.toServer.isSilent = true;
    this.toClient.isSilent = true;
  }

  /** Holds what arrives from now on, in one direction (`'toServer'`, `'toClient'`) or in both, until {@link resume}. */
  stall(direction) {
    for (const each of direction ? [this[direction]] : [this.toServer, this.toClient]) each.isHeld = true;
  }

  /** Ends the client's half with a RST and leaves the server's half open and silent: a client that changed its network. */
  lose() {
    this.silence();
    this.client.resetAndDestroy();
  }

  /** Passes on what was held, and what follows. */
  resume() {
    for (const each of [this.toServer, this.toClient]) {
      each.isHeld = false;
      each.flush();
    }
  }

  end() {
    this.toServer.isSilent = this.toClient.isSilent = false;
    this.#close();
  }
}

export class Proxy {
  /** The open connections, oldest first. */
  links = [];
  /** How long each byte takes, in milliseconds and in each direction. */
  delayMs = 0;
  #isRefusing = false;
  #listener;
  #waiting = new Set();

  /** Starts a proxy to the server at `target` (a URL), until the end of the test. Pages use `proxy.url`. */
  static async open(t, target) {
    const proxy = new Proxy();
    const { hostname, port } = new URL(target);
    proxy.#listener = createServer({ allowHalfOpen: true }, (client) => proxy.#join(client, { host: hostname, port }));
    proxy.#listener.listen(0, '127.0.0.1');
    await once(proxy.#listener, 'listening');
    proxy.port = proxy.#listener.address().port;
    proxy.url = `http://127.0.0.1:${proxy.port}`;
    t.after(() => proxy.#close());
    return proxy;
  }

  #join(client, target) {
    if (this.#isRefusing) {
      client.on('error', () => {});
      client.resetAndDestroy();
      return;
    }
    const link = new Link(client, connect({ ...target, allowHalfOpen: true }), this);
    this.links.push(link);
    link.closed.then(() => (this.links = this.links.filter((other) => other !== link)), () => {});
    for (const wake of this.#waiting) wake(link);
    this.#waiting.clear();
  }

  /** Does `what` (`'cut'`, `'reset'`, `'silence'`, `'lose'`, `'stall'`, `'resume'`) to all connections. */
  all(what, ...args) {
    for (const link of this.links) link[what](...args);
  }

  /** Waits for the next connection. */
  next() {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  /** Resets each new connection, until {@link accept}: the server cannot be reached. */
  refuse() {
    this.#isRefusing = true;
  }

  accept() {
    this.#isRefusing = false;
  }

  #close() {
    this.#listener.close();
    for (const link of this.links) link.end();
  }
}
