// A page opens each socket and reads the close codes, in a real Chromium.
import { test } from 'node:test';
import assert from 'node:assert/strict';

import { PASSWORD, Server } from '../js/server.mjs';
import { launch, skip } from './chromium.mjs';

test('a page reads 4401, 4403, 4404, 1011 and 1000', { skip }, async (t) => {
  const server = await Server.start(t);
  const browser = await launch(t);
  const page = await browser.newPage();
  await page.goto(`${server.url}/health`);

  // Opens a socket and returns its close code. With `leave`, the page closes it without a code after the first frame.
  const end = (path, leave = false) => page.evaluate(([path, leave]) => new Promise((done, fail) => {
    const socket = new WebSocket(`ws://${location.host}${path}`);
    if (leave) socket.onmessage = () => socket.close();
    socket.onclose = (event) => done(event.code);
    setTimeout(() => fail(new Error(`still open: ${path}`)), 10000);
  }), [path, leave]);

  const logIn = ({ email }) => page.evaluate(async ([username, password]) => {
    const answer = await fetch('/api/auth/login/', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }),
    });
    return (await answer.json()).access;
  }, [email, PASSWORD]);

  assert.equal(await end('/ws/admin/chat/?token=bad'), 4401);
  assert.equal(await end('/ws/admin/chat/'), 4401);
  const [admin, ann] = [await logIn(server.admin), await logIn(server.ann)];
  assert.equal(await end(`/ws/admin/chat/?token=${ann}`), 4403);
  assert.equal(await end('/ws/chat/00000000-0000-4000-8000-000000000000/'), 4404);
  assert.equal(await end('/ws/chat/abc/'), 1011);
  assert.equal(await end(`/ws/admin/chat/?token=${admin}`, true), 1000);
  const room = await page.evaluate(async () => (await (await fetch('/api/public/chat-rooms/', { method: 'POST' })).json()).id);
  assert.equal(await end(`/ws/chat/${room}/`, true), 1000);
  // The portal's handshake is refused, which a page sees as 1006.
  assert.equal(await end(`/ws/chat/999999/?token=${ann}`), 1006);
});
