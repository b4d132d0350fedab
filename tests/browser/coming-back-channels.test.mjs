// Pages like the storefront's first generation and the portal's show each message once and in order after sockets and
// servers were lost. The storefront's pages offer to retry; the portal's reconnect by themselves and fetch nothing.

import { once } from 'node:events';
import { test } from 'node:test';

import { mint } from '../js/server.mjs';
import { skip } from './chromium.mjs';
import { TIMES } from './support/chat.mjs';
import { DEADLINE, Screen, site } from './support/harness.mjs';
import { retryPanel, sayElsewhere, scene, write } from './support/shop.mjs';

/** So that the server finds out within some seconds that a client is gone. */
const IMPATIENT = ['--ping-interval', '1s', '--ping-timeout', '2s'];

/** By when the server knows what a page of the portal has, in milliseconds: a quarter of a second and a round trip. */
const CONFIRMED = 1500;

/** The websockets on their way through the proxy. */
const sockets = (place) => place.proxy.links.filter(({ path }) => path?.startsWith('/ws/'));

/** The server has ended its half of these connections. */
async function givenUp(links) {
  for (const { server } of links) {
    const signal = AbortSignal.timeout(DEADLINE);
    if (!server.readableEnded && !server.destroyed) await Promise.race(['end', 'close'].map((event) => once(server, event, { signal })));
  }
}

/** The ways to lose a socket: each loses those of a place, and lets something be said before and after. */
const SHOP_FAULTS = {
  FIN: async (place, say) => {
    await say();
    sockets(place).forEach((link) => link.cut());
    await say();
  },
  RST: async (place, say) => {
    await say();
    sockets(place).forEach((link) => link.reset());
    await say();
  },
  silence: async (place, say) => {
    const dead = sockets(place);
    dead.forEach((link) => link.silence());
    await say();
    await givenUp(dead);
    await say();
    dead.forEach((link) => link.end());
  },
  'kill -9': async (place, say) => {
    await say();
    await place.server.kill();
    await place.server.restart();
    await say();
  },
};

for (const [fault, happens] of Object.entries(SHOP_FAULTS)) {
  test(`the storefront's pages show each message once, in order, after ${fault} and a retry`, { skip }, async (t) => {
    const { place, ann, panel } = await scene(t, { args: IMPATIENT });
    const said = ['hello'];
    const say = async () => {
      said.push(`${said.length}`);
      await sayElsewhere(place, said.at(-1));
    };
    for (let time = 0; time < TIMES; time += 1) {
      await happens(place, say);
      for (const screen of [ann, panel]) await screen.sees('#error', 'code 1006');
      await ann.click('#retry');
      await retryPanel(panel);
      for (const screen of [ann, panel]) await screen.reads('.message', said);
      said.push(`${said.length}`);
      await write(ann, said.at(-1));
      for (const screen of [ann, panel]) await screen.reads('.message', said);
    }
  });
}

const PORTAL_FAULTS = {
  FIN: async (place, say) => {
    place.proxy.all('cut');
    await say();
  },
  RST: async (place, say) => {
    place.proxy.all('reset');
    await say();
  },
  silence: async (place, say) => {
    place.proxy.all('silence');
    await say();
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
    const admin = await open({ ...place, url: place.server.url }, place.server.admin, `/portal/?room=${encodeURIComponent(place.server.ann.email)}`);
    await admin.reads('.message', ['0']);
    await admin.sees('#connection', /^connected$/);
    const said = ['0'];
    /** Somebody says something, and knows that it was kept. */
    const say = async (screen) => {
      said.push(`${said.length}`);
      await screen.submit('#input', said.at(-1));
      await screen.reads('.message', said);
    };
    const opened = async (screen) => Number((await screen.texts('#opened'))[0]);
    for (let time = 0; time < TIMES; time += 1) {
      const before = await opened(ann);
      await say(admin);
      await ann.reads('.message', said);
      // These pages confirm nothing: the server pings them, and sends again what was not followed by a pong.
      await ann.page.waitForTimeout(CONFIRMED);
      await happens(place, () => say(admin));
      // The page was disconnected, whether or not that was visible.
      await ann.page.waitForFunction((count) => Number(document.getElementById('opened').textContent) > count, before);
      await admin.sees('#connection', /^connected$/);
      await say(admin);
      await ann.reads('.message', said);
      // Longer than the server takes to detect that an old connection is dead.
      if (fault === 'silence') await ann.page.waitForTimeout(4000);
      await say(ann);
      await admin.reads('.message', said);
    }
  });
}
