// Pages like the storefront's later generation, which use requests only.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { mint, PASSWORD } from '../js/server.mjs';
import { skip } from './chromium.mjs';
import { Screen, site } from './support/harness.mjs';

async function openCustomer(t, place, options) {
  const customer = await Screen.open(t, place, '/shop-later/customer.html', options);
  await customer.click('#start');
  return customer;
}

const openPanel = (t, place, auth = { access: mint(place.server.admin) }) =>
  Screen.open(t, place, '/shop-later/panel.html?every=700', { storage: { auth: JSON.stringify(auth) } });

/** A customer whose first message was sent at the first attempt, and a panel that shows it. */
async function scene(t) {
  const place = await site(t, { sameOrigin: true });
  const ann = await openCustomer(t, place, { storage: { name: 'Ann' } });
  // A page that gets no room with the first response sends nothing until its chat is reopened.
  await ann.submit('#input', 'hello');
  await ann.reads('.message', ['Ann: hello']);
  const panel = await openPanel(t, place);
  await panel.reads('.message', ['Ann: hello']);
  return { place, ann, panel };
}

test('a customer and an agent see each other\'s names, also in a second tab', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t);
  await panel.reads('.room', ['Ann']);
  await panel.submit('#input', 'good day');
  await panel.reads('.message', ['Ann: hello', 'Admin (admin@x.test): good day']);
  await ann.click('#close');
  await ann.click('#start');
  await ann.reads('.message', ['Ann: hello', 'Admin: good day']);
  const tab = await openCustomer(t, place, { beside: ann });
  await tab.reads('.message', ['Ann: hello', 'Admin: good day']);
  await tab.submit('#input', 'a question');
  await panel.reads('.room', ['Ann [1]']);
  await panel.click('.room');
  await panel.reads('.message', ['Ann: hello', 'Admin (admin@x.test): good day', 'Ann: a question']);
});

test('the warning covers the panel only while the server cannot be reached', { skip }, async (t) => {
  const { place, ann, panel } = await scene(t);
  const warning = panel.page.locator('#warning');
  await warning.waitFor({ state: 'hidden' });
  await place.server.kill();
  await warning.waitFor();
  await ann.write('#input', 'is anybody there?');
  await ann.sees('#error', 'HTTP 502');
  await place.server.restart();
  await warning.waitFor({ state: 'hidden' });
  await ann.page.locator('#input').press('Enter');
  await ann.reads('.message', ['Ann: hello', 'Ann: is anybody there?']);
});

test('a deleted room is not on the panel until its customer writes again', { skip }, async (t) => {
  const { ann, panel } = await scene(t);
  await panel.click('#delete');
  await panel.reads('#count', ['0 rooms']);
  await panel.reads('.message', []);
  await ann.submit('#input', 'once more');
  await ann.reads('.message', ['Ann: hello', 'Ann: once more']);
  await panel.click('.room');
  await panel.reads('.message', ['Ann: hello', 'Ann: once more']);
  assert.deepEqual(await panel.texts('.message.own'), []);
});

test('a panel whose token has expired can use the same refresh token repeatedly', { skip }, async (t) => {
  const { place } = await scene(t);
  const { server } = place;
  const body = { username: 'admin@x.test', password: PASSWORD };
  const { refresh } = (await server.rest('POST', '/api/auth/login/', { body })).body;
  const panel = await openPanel(t, place, { access: mint(server.admin, { ttl: -60 }), refresh });
  await panel.reads('#count', ['1 rooms']);
  for (let n = 0; n < 2; n++) {
    const renewed = panel.page.waitForResponse((answer) => answer.url().endsWith('/refresh/') && answer.ok());
    const expired = mint(server.admin, { ttl: -60 });
    await panel.page.evaluate((access) => {
      localStorage.setItem('auth', JSON.stringify({ ...JSON.parse(localStorage.getItem('auth')), access }));
    }, expired);
    await renewed;
  }
  await panel.reads('#error', ['']);
});
