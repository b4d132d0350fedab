// A customer's and an agent's screen of pages like the storefront's first generation.

import assert from 'node:assert/strict';

import { mint } from '../../js/server.mjs';
import { Screen, site } from './harness.mjs';

/** The page's present socket is open. */
export const hears = (screen) => screen.page.locator('#messages[data-socket=open]').waitFor({ state: 'attached' });

export async function openCustomer(t, place, options) {
  const customer = await Screen.open(t, place, '/shop/customer.html', options);
  await customer.click('#start');
  await hears(customer);
  return customer;
}

export const openPanel = (t, place) =>
  Screen.open(t, place, '/shop/panel.html', { storage: { access_token: mint(place.server.admin) } });

export const write = (screen, text) => screen.submit('#input', text);

/** A customer who has written, and a panel that shows it. */
export async function scene(t, options) {
  const place = await site(t, { sameOrigin: true, proxy: true, ...options });
  const ann = await openCustomer(t, place);
  await write(ann, 'hello');
  const panel = await openPanel(t, place);
  await panel.reads('.message', ['hello']);
  await hears(panel);
  return { place, ann, panel };
}

/** What an agent says somewhere else. */
export async function sayElsewhere({ server }, content) {
  const { body } = await server.get('/api/admin/chat-rooms/', server.admin);
  const path = `/api/admin/chat-rooms/${body.results[0].id}/send_message/`;
  assert.equal((await server.rest('POST', path, { as: server.admin, body: { content } })).status, 201);
}

/** Clicks on Retry in a panel, and on its room once the overview is there: until then the page would leave the room again. */
export async function retryPanel(panel) {
  await panel.click('#retry');
  await hears(panel);
  await panel.click('.room');
}
