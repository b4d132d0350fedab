// Pages like the storefront's while their network is silent, and after it has recovered.
//
// These pages do not check whether their socket is alive. The system reports that it is closed; then they offer to retry.

import { once } from 'node:events';
import { test } from 'node:test';

import { mint } from '../js/server.mjs';
import { skip } from './chromium.mjs';
import { DEADLINE, Screen, site } from './support/harness.mjs';
import { retryPanel, sendElsewhere, scene, write } from './support/shop.mjs';

/** So that the server detects a dead client within some seconds. */
const IMPATIENT = ['--ping-interval', '1s', '--ping-timeout', '2s'];

/** The websockets through the proxy. */
const sockets = (place) => place.proxy.links.filter(({ path }) => path?.startsWith('/ws/'));

/** Waits until the server has ended its half of these connections. */
async function closedByServer(links) {
  for (const { server } of links) {
    const signal = AbortSignal.timeout(DEADLINE);
    if (!server.readableEnded && !server.destroyed) await Promise.race(['end', 'close'].map((event) => once(server, event, { signal })));
  }
}

test('messages of both sides during a silent network are shown once, in order, when it recovers', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t);
  place.proxy.all('stall');
  for (const text of ['one', 'two']) await sendElsewhere(place, text);
  await ann.write('#input', 'a question');
  place.proxy.all('resume');
  // The server received the question last.
  for (const screen of [ann, panel]) await screen.reads('.message', ['hello', 'one', 'two', 'a question']);
  await write(panel, 'an answer');
  for (const screen of [ann, panel]) await screen.reads('.message', ['hello', 'one', 'two', 'a question', 'an answer']);
});

test('if the network recovers after the server has closed the sockets, a retry shows every message', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t, { args: IMPATIENT });
  const sent = ['hello'];
  for (let time = 0; time < 2; time += 1) {
    const held = sockets(place);
    for (const link of held) link.stall();
    sent.push(`first ${time}`);
    await sendElsewhere(place, sent.at(-1));
    await closedByServer(held);
    sent.push(`second ${time}`);
    await sendElsewhere(place, sent.at(-1));
    for (const link of held) link.resume();
    for (const screen of [ann, panel]) await screen.sees('#error', 'code 1006');
    await ann.click('#retry');
    await retryPanel(panel);
    for (const screen of [ann, panel]) await screen.reads('.message', sent);
    sent.push(`question ${time}`);
    await write(ann, sent.at(-1));
    for (const screen of [ann, panel]) await screen.reads('.message', sent);
  }
});

test('a half-open socket loses no message once the system has noticed it', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t, { args: IMPATIENT });
  const dead = sockets(place);
  for (const link of dead) link.silence();
  await sendElsewhere(place, 'into the void');
  await closedByServer(dead);
  await sendElsewhere(place, 'and again');
  for (const link of dead) link.end();
  for (const screen of [ann, panel]) await screen.sees('#error', 'code 1006');
  await ann.click('#retry');
  await retryPanel(panel);
  const sent = ['hello', 'into the void', 'and again'];
  for (const screen of [ann, panel]) await screen.reads('.message', sent);
  await write(panel, 'an answer');
  for (const screen of [ann, panel]) await screen.reads('.message', [...sent, 'an answer']);
});

test('pages that use requests only show each message once after the network was silent', { skip }, async (t) => {
  const place = await site(t, { sameOrigin: true, proxy: true });
  const ann = await Screen.open(t, place, '/shop-later/customer.html', { storage: { name: 'Ann' } });
  await ann.click('#start');
  await ann.submit('#input', 'hello');
  const auth = JSON.stringify({ access: mint(place.server.admin) });
  const panel = await Screen.open(t, place, '/shop-later/panel.html?every=700', { storage: { auth } });
  await panel.reads('.message', ['Ann: hello']);
  place.proxy.all('stall');
  await ann.write('#input', 'a question');
  await panel.write('#input', 'an answer');
  place.proxy.all('resume');
  await ann.reads('.message', ['Ann: hello', 'Ann: a question']);
  await ann.click('#close');
  await ann.click('#start');
  const { body } = await place.server.get('/api/admin/chat-rooms/', place.server.admin);
  const log = (await place.server.get(`/api/admin/chat-rooms/${body.results[0].id}/get_messages/`, place.server.admin)).body;
  await panel.click('.room');
  await panel.reads('.message', log.map(({ sender_name: name, content }) => `${name}: ${content}`));
  await ann.reads('.message', log.map(({ sender_type: side, content }) => `${side === 'admin' ? 'Admin' : 'Ann'}: ${content}`));
});
