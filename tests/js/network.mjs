// A network between a client and the server that can fail silently: nothing more arrives, and neither side is notified.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Network {
  #sockets = new Set();
  #listener;
  #hasFailed = false;
  #failed = new Set();

  /** A proxy to the server at `url`, for one test. */
  static async open(t, url) {
    const network = new Network();
    const { hostname, port } = new URL(url);
    network.#listener = createServer((near) => network.#join(near, connect({ host: hostname, port }))).listen(0, '127.0.0.1');
    await once(network.#listener, 'listening');
    network.url = `http://127.0.0.1:${network.#listener.address().port}`;
    t.after(() => network.#close());
    return network;
  }

  #join(near, far) {
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      const isOver = () => this.#hasFailed || this.#failed.has(from);
      from.on('data', (data) => isOver() || to.write(data));
      from.on('close', () => isOver() || to.destroy());
      from.on('error', () => {});
    }
  }

  fail() {
    this.#hasFailed = true;
  }

  /** Lets the currently open connections fail. Later ones are not affected. */
  failThoseOpen() {
    this.#sockets.forEach((socket) => this.#failed.add(socket));
  }

  #close() {
    this.#listener.close();
    this.#sockets.forEach((socket) => socket.destroy());
  }
}

/** A proxy to the server at `url` that resets every connection with a websocket request, or ignores the request. */
export async function withoutWebSocket(t, url, { ignores = false } = {}) {
  const { hostname: host, port } = new URL(url);
  const sockets = new Set();
  const listener = createServer((near) => {
    sockets.add(near);
    near.on('error', () => {});
    near.once('data', (head) => {
      if (/^upgrade: websocket/im.test(head.toString('latin1'))) return ignores || near.resetAndDestroy();
      const far = connect({ host, port });
      sockets.add(far);
      far.on('error', () => near.destroy());
      far.write(head);
      near.pipe(far).pipe(near);
    });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => {
    listener.close();
    sockets.forEach((socket) => socket.destroy());
  });
  return `http://127.0.0.1:${listener.address().port}`;
}
