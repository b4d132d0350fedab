// How often a page gets `authenticated {success: false}`. Each one makes the page retry `authenticate` forever, in addition to the
// retries that are already running.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

/** Retries two seconds after each denial, forever, as existing pages do. Returns the number of attempts. */
function stubborn(client, token) {
  let tries = 0;
  const authenticate = () => {
    tries += 1;
    client.emit('authenticate', token);
  };
  client.socket.on('authenticated', ({ success }) => success || setTimeout(authenticate, 2000));
  authenticate();
  return () => tries;
}

export default function stories(start) {
  test('refused messages start one chain of attempts, not one each', async (t) => {
    const server = await start(t);
    const page = await server.connect('expired');
    const tries = stubborn(page, server.token(server.ann, { ttl: -10 }));
    await page.waitFor('authenticated');
    for (let round = 0; round < 20; round += 1) page.emit('send-message', { receiverId: server.admin.id, message: 'x' });
    for (let round = 0; round < 20; round += 1) await page.waitFor('error');
    await delay(6000);
    page.emit('send-message', { receiverId: server.admin.id, message: 'x' });
    await page.roundTrip();
    assert.ok(tries() <= 4, `${tries()} attempts in 6 s`);
    assert.ok(tries() >= 3, 'it goes on trying');
  });

  test('a page that does not authenticate is reminded now and then', async (t) => {
    const server = await start(t);
    const page = await server.connect('broken');
    const sends = Array.from({ length: 20 }, () => page.ask('send-message', { receiverId: server.admin.id, message: 'x' }));
    await Promise.all(sends);
    await page.roundTrip();
    assert.equal(page.all('authenticated').length, 1);
  });
}
