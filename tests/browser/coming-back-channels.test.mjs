// After a lost socket or server, pages like the storefront's first generation and the portal's show each message once and in order.
// The storefront's pages offer to retry; the portal's reconnect by themselves and fetch nothing.

import { once } from 'node:events';
import { test } from 'node:test';

import { mint } from '../js/server.mjs';
import { skip } from './chromium.mjs';
import { TIMES } from './support/chat.mjs';
import { DEADLINE, Screen, site } from './support/harness.mjs';
import { retryPanel, sendElsewhere, scene, write } from './support/shop.mjs';

/** So that the server detects a dead client within some seconds. */
const IMPATIENT = ['--ping-interval', '1s', '--ping-timeout', '2s'];

/** After how long the server knows what a page of the portal has received, in milliseconds: a quarter of a second and a round trip. */
const CONFIRMED = 1500;

/** The websockets through the proxy. */
const sockets = (place) => place.proxy.links.filter(({ path }) => path?.startsWith('/ws/'));

/** Waits until the server has ended its half of these connections. */
async function closedByServer(links) {
  for (const { server } of links) {
    const signal = AbortSignal.timeout(DEADLINE);
    if (!server.readableEnded && !server.destroyed) await Promise.race(['end', 'close'].map((event) => once(server, event, { signal })));
  }
}

/** The ways to lose a socket. Each one loses the sockets of a place, and has messages sent before and after. */
const SHOP_FAULTS = {
  FIN: async (place, send) => {
    await send();
    sockets(place).forEach((link) => link.cut());
    await send();
  },
  RST: async (place, send) => {
    await send();
    sockets(place).forEach((link) => link.reset());
    await send();
  },
  silence: async (place, send) => {
    const dead = sockets(place);
    dead.forEach((link) => link.silence());
    await send();
    await closedByServer(dead);
    await send();
    dead.forEach((link) => link.end());
  },
  'kill -9': async (place, send) => {
    await send();
    await place.server.kill();
    await place.server.restart();
    await send();
  },
};

for (const [fault, happens] of Object.entries(SHOP_FAULTS)) {
  test(`the storefront's pages show each message once, in order, after ${fault} and a retry`, { skip }, async (t) => {
    const { place, ann, panel } = await scene(t, { args: IMPATIENT });
    const sent = ['hello'];
    const send = async () => {
      sent.push(`${sent.length}`);
      await sendElsewhere(place, sent.at(-1));
    };
    for (let time = 0; time < TIMES; time += 1) {
      await happens(place, send);
      for (const screen of [ann, panel]) await screen.sees('#error', 'code 1006');
      await ann.click('#retry');
      await retryPanel(panel);
      for (const screen of [ann, panel]) await screen.reads('.message', sent);
      sent.push(`${sent.length}`);
      await write(ann, sent.at(-1));
      for (const screen of [ann, panel]) await screen.reads('.message', sent);
    }
  });
}

const PORTAL_FAULTS = {
  FIN: async (place, send) => {
    place.proxy.all('cut');
    await send();
  },
  RST: async (place, send) => {
    place.proxy.all('reset');
    await send();
  },
  silence: async (place, send) => {
    place.proxy.all('silence');
    await send();
    // The page changes to another network, which the server cannot notice.
    place.proxy.all('lose');
  },
  'kill -9': async (place) => {
    await place.server.kill();
    await place.server.restart();
  },
};

for (const [fault, happens] of Object.entries(PORTAL_FAULTS)) {
  test(`the portal's pages show each message once, in order, after ${fault}`, { skip }, async (t) => {
    const place = await site(t, { proxy: true, args: IMPATIENT });
    const open = (at, account, path) => Screen.open(t, at, path, { storage: { authToken: mint(account) } });
    const ann = await open(place, place.server.ann, '/portal/');
    await ann.sees('#connection', /^connected$/);
    await ann.write('#input', '0');
    await ann.reads('.message', ['0']);
    const annsRoom = `/portal/?room=${encodeURIComponent(place.server.ann.email)}`;
    const admin = await open({ ...place, url: place.server.url }, place.server.admin, annsRoom);
    await admin.reads('.message', ['0']);
    await admin.sees('#connection', /^connected$/);
    const sent = ['0'];
    /** Sends a message and waits until it is stored. */
    const send = async (screen) => {
      sent.push(`${sent.length}`);
      await screen.submit('#input', sent.at(-1));
      await screen.reads('.message', sent);
    };
    const opened = async (screen) => Number((await screen.texts('#opened'))[0]);
    for (let time = 0; time < TIMES; time += 1) {
      const before = await opened(ann);
      await send(admin);
      await ann.reads('.message', sent);
      // These pages confirm nothing. The server pings them, and sends again what was not followed by a pong.
      await ann.page.waitForTimeout(CONFIRMED);
      await happens(place, () => send(admin));
      // The page was disconnected, whether or not that was visible.
      await ann.page.waitForFunction((count) => Number(document.getElementById('opened').textContent) > count, before);
      await admin.sees('#connection', /^connected$/);
      await send(admin);
      await ann.reads('.message', sent);
      // Longer than the server takes to detect that an old connection is dead.
      if (fault === 'silence') await ann.page.waitForTimeout(4000);
      await send(ann);
      await admin.reads('.message', sent);
    }
  });
}
