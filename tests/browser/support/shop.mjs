// A customer's and an agent's screen of pages like the storefront's first generation.

import assert from 'node:assert/strict';

import { mint } from '../../js/server.mjs';
import { Screen, site } from './harness.mjs';

/** Waits until the page's socket is open. */
export const isConnected = (screen) => screen.page.locator('#messages[data-socket=open]').waitFor({ state: 'attached' });

export async function openCustomer(t, place, options) {
  const customer = await Screen.open(t, place, '/shop/customer.html', options);
  await customer.click('#start');
  await isConnected(customer);
  return customer;
}

export const openPanel = (t, place) =>
  Screen.open(t, place, '/shop/panel.html', { storage: { access_token: mint(place.server.admin) } });

export const write = (screen, text) => screen.submit('#input', text);

/** A customer who has sent a message, and a panel that shows it. */
export async function scene(t, options) {
  const place = await site(t, { sameOrigin: true, proxy: true, ...options });
  const ann = await openCustomer(t, place);
  await write(ann, 'hello');
  const panel = await openPanel(t, place);
  await panel.reads('.message', ['hello']);
  await isConnected(panel);
  return { place, ann, panel };
}

/** Sends an agent's message from another client. */
export async function sendElsewhere({ server }, content) {
  const { body } = await server.get('/api/admin/chat-rooms/', server.admin);
  const path = `/api/admin/chat-rooms/${body.results[0].id}/send_message/`;
  assert.equal((await server.rest('POST', path, { as: server.admin, body: { content } })).status, 201);
}

/** Clicks Retry in a panel, and then its room once the overview is shown. Before that, the page would leave the room again. */
export async function retryPanel(panel) {
  await panel.click('#retry');
  await isConnected(panel);
  await panel.click('.room');
}
