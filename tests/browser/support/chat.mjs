// A customer's and an agent's screen in one conversation, the customer's on a network that can fail.

import { test } from 'node:test';

import { skip } from '../chromium.mjs';
import { openChat, openPane } from '../dashboard.mjs';
import { site } from './harness.mjs';

/** How often each way of losing a connection is tried. */
export const TIMES = Number(process.env.DESKLINE_COMING_BACK_TIMES ?? 1);

/** The transports of a page: the option of its socket, and the requests that show that it is used. */
const TRANSPORTS = [
  { transport: 'websocket', transports: 'websocket,polling' },
  { transport: 'polling', transports: 'polling' },
  { transport: 'upgraded', transports: 'polling,websocket' },
];

/** Declares a test for each transport. It gets a `scene` whose customer uses that one. */
export function onEachTransport(name, run) {
  for (const { transport, transports } of TRANSPORTS) {
    test(`${name} (${transport})`, { skip }, (t) => run(t, (options) => scene(t, { query: { transports }, ...options })));
  }
}

/** Both screens, with the expected messages (`sent`) and a function that sends one (`send`). */
async function scene(t, { query, ...options }) {
  const place = await site(t, { proxy: true, ...options });
  const ann = await openChat(t, place, place.server.ann, { query });
  await ann.sees('#status', 'Online');
  await ann.page.locator('#input:enabled').waitFor();
  await ann.write('#input', '0');
  await ann.reads('.message', ['0']);
  const admin = await openChat(t, { ...place, url: place.server.url }, place.server.admin);
  await openPane(admin, place.server.ann);
  await admin.reads('.message', ['0']);
  const sent = ['0'];
  /** Sends a new message from one of the screens. */
  const send = async (screen) => {
    // The agent's page accepts no keys while it loads its list, which it does after each received message.
    if (screen === admin) await admin.reads('.message', sent);
    sent.push(`${sent.length}`);
    await screen.page.locator('#input:enabled').waitFor();
    await screen.write('#input', sent.at(-1));
  };
  return { place, ann, admin, sent, send };
}

/** Waits until the page has noticed that it is disconnected, or connected again. */
export const sees = (screen, status) => screen.sees('#status', status);
