// Serves the test pages on a separate origin, like a frontend's development or static server.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { extname, join, normalize } from 'node:path';

import { ROOT } from '../../js/server.mjs';

const PAGES = join(ROOT, 'tests/browser/pages');
/** Where pages import the stock Socket.IO client from. */
const VENDOR = { '/vendor/socket.io.mjs': join(ROOT, 'tests/js/node_modules/socket.io-client/dist/socket.io.esm.min.js') };
const TYPES = { '.html': 'text/html; charset=utf-8', '.mjs': 'text/javascript', '.css': 'text/css' };

/** The file that a path names. It is always below `pages/`. */
function fileOf(path) {
  if (VENDOR[path]) return VENDOR[path];
  const name = normalize(decodeURIComponent(path)).replace(/\/$/, '/index.html');
  return join(PAGES, name);
}

/**
 * Serves `tests/browser/pages` until the end of the test, and returns the origin.
 *
 * With `forward`, a function that returns the server's URL, requests other than those for pages go to the server, websockets too: the page
 * and the server then share one origin, as behind a reverse proxy.
 *
 * `answersAfterMs` delays each response of the server, but no websocket, like a proxy with separate paths for the two.
 *
 * @param {import('node:test').TestContext} t
 * @param {{forward?: () => string, answersAfterMs?: number}} options
 */
export async function servePages(t, { forward, answersAfterMs = 0 } = {}) {
  const open = new Set();
  const listener = createServer(async (asked, answer) => {
    const path = new URL(asked.url, 'http://page').pathname;
    try {
      const body = await readFile(fileOf(path));
      answer.writeHead(200, { 'content-type': TYPES[extname(fileOf(path))] ?? 'text/javascript', 'cache-control': 'no-store' });
      answer.end(body);
    } catch {
      if (forward) passOn(asked, answer, forward(), answersAfterMs);
      else answer.writeHead(404).end();
    }
  });
  listener.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  listener.on('upgrade', (asked, socket, head) => {
    if (!forward) return socket.destroy();
    const { hostname, port } = new URL(forward());
    const far = connect({ host: hostname, port }, () => {
      const lines = [`${asked.method} ${asked.url} HTTP/1.1`];
      for (let i = 0; i < asked.rawHeaders.length; i += 2) lines.push(`${asked.rawHeaders[i]}: ${asked.rawHeaders[i + 1]}`);
      far.write(`${lines.join('\r\n')}\r\n\r\n`);
      far.write(head);
      far.pipe(socket).pipe(far);
    });
    for (const [one, other] of [[socket, far], [far, socket]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  t.after(() => {
    listener.close();
    for (const socket of open) socket.destroy();
  });
  return `http://127.0.0.1:${listener.address().port}`;
}

function passOn(asked, answer, to, afterMs) {
  const { hostname, port } = new URL(to);
  const far = request({ hostname, port, method: asked.method, path: asked.url, headers: asked.headers }, (response) => {
    setTimeout(() => {
      answer.writeHead(response.statusCode, response.headers);
      response.pipe(answer);
    }, afterMs);
  });
  far.on('error', () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
  asked.pipe(far);
}
