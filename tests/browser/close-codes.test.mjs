// A page opens each socket and reads the close codes, in a real Chromium.
// Needs: DESKLINE_BIN, and Chromium: at CHROMIUM, or where systems put it. Without one it is left out, which in CI is a failure.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const bin = process.env.DESKLINE_BIN;
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const chromiumBin = process.env.CHROMIUM ?? places.find((place) => existsSync(place));
const skip = !chromiumBin && process.env.CI !== 'true' && '*** LEFT OUT: there is no Chromium (apt-get install chromium) ***';
const folder = mkdtempSync(join(tmpdir(), 'deskline-browser-'));
const data = join(folder, 'deskline.db');
let server, browser, page, port;

const freePort = () => new Promise((done) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => done(port));
  });
});

before(async () => {
  if (skip) return;
  assert.ok(chromiumBin, 'there is no Chromium to test with');
  port = await freePort();
  server = spawn(bin, ['--demo', '--data', data, '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}/health`;
  for (let tries = 0; ; tries++) {
    if (await fetch(url).then((answer) => answer.ok, () => false)) break;
    assert.ok(tries < 200, 'the server starts');
    await new Promise((done) => setTimeout(done, 50));
  }
  browser = await chromium.launch({ executablePath: chromiumBin, args: ['--no-sandbox', '--disable-dev-shm-usage'], timeout: 60000 });
  page = await browser.newPage();
  await page.goto(url);
});

after(async () => {
  await browser?.close();
  server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

// Opens a socket and gives the code of its end. With `leave`, the page closes it without a code after the first frame.
const end = (path, leave = false) => page.evaluate(([path, leave]) => new Promise((done, fail) => {
  const socket = new WebSocket(`ws://${location.host}${path}`);
  if (leave) socket.onmessage = () => socket.close();
  socket.onclose = (event) => done(event.code);
  setTimeout(() => fail(new Error(`still open: ${path}`)), 10000);
}), [path, leave]);

const logIn = (email) => page.evaluate(async ([email]) => {
  const answer = await fetch('/api/auth/login/', {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: email, password: 'deskline-demo' }),
  });
  return (await answer.json()).access;
}, [email]);

test('a page reads 4401, 4403, 4404, 1011 and 1000', { skip }, async () => {
  assert.equal(await end('/ws/admin/chat/?token=bad'), 4401);
  assert.equal(await end('/ws/admin/chat/'), 4401);
  const [admin, ann] = [await logIn('admin@demo.test'), await logIn('ann@demo.test')];
  assert.equal(await end(`/ws/admin/chat/?token=${ann}`), 4403);
  assert.equal(await end('/ws/chat/00000000-0000-4000-8000-000000000000/'), 4404);
  assert.equal(await end('/ws/chat/abc/'), 1011);
  assert.equal(await end(`/ws/admin/chat/?token=${admin}`, true), 1000);
  const room = await page.evaluate(async () => (await (await fetch('/api/public/chat-rooms/', { method: 'POST' })).json()).id);
  assert.equal(await end(`/ws/chat/${room}/`, true), 1000);
  // The portal is refused in the handshake, which a page sees as 1006.
  assert.equal(await end(`/ws/chat/999999/?token=${ann}`), 1006);
});
