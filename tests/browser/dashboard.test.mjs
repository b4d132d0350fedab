// A dashboard-like page, driven with a real mouse and keyboard.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { skip } from './chromium.mjs';
import { customerReady, openChat, openPane } from './dashboard.mjs';
import { site } from './support/harness.mjs';

test('a customer and an agent see each message once and in order', { skip }, async (t) => {
  const place = await site(t);
  const ann = await openChat(t, place, place.server.ann);
  await customerReady(ann);
  await ann.write('#input', 'is anybody there?');
  await ann.reads('.message', ['is anybody there?']);

  const admin = await openChat(t, place, place.server.admin);
  await admin.sees('.badge', '1');
  await admin.sees('.online', 'Ann');
  await openPane(admin, place.server.ann);
  await admin.reads('.message', ['is anybody there?']);
  await admin.write('#input', 'yes');
  await ann.reads('.message', ['is anybody there?', 'yes']);
  await ann.write('#input', 'good');
  await admin.reads('.message', ['is anybody there?', 'yes', 'good']);
  assert.equal(await admin.page.locator('.message.own').count(), 1);
});

test('after the server was killed, both pages reconnect and show all messages once', { skip }, async (t) => {
  const place = await site(t);
  const ann = await openChat(t, place, place.server.ann);
  await customerReady(ann);
  await ann.write('#input', 'before');
  await ann.reads('.message', ['before']);
  const admin = await openChat(t, place, place.server.admin);
  await openPane(admin, place.server.ann);
  // The page does not retry a history request that failed.
  await admin.reads('.message', ['before']);
  await ann.reads('.message', ['before']);
  await place.server.kill();
  await ann.sees('#status', 'Offline');
  await ann.write('#input', 'kept in the input');
  assert.equal(ann.alerts.length, 1);
  assert.equal(await ann.page.locator('#input').inputValue(), 'kept in the input');
  await place.server.restart();
  await ann.sees('#status', 'Online');
  await ann.click('#send');
  await admin.reads('.message', ['before', 'kept in the input']);
  await ann.reads('.message', ['before', 'kept in the input']);
});

test('a page reconnects after a reset', { skip }, async (t) => {
  const place = await site(t, { proxy: true });
  const ann = await openChat(t, place, place.server.ann);
  await customerReady(ann);
  await ann.write('#input', 'before');
  await ann.reads('.message', ['before']);
  for (const way of ['cut', 'reset']) {
    place.proxy.refuse();
    place.proxy.all(way);
    await ann.sees('#status', 'Offline');
    place.proxy.accept();
    await ann.sees('#status', 'Online');
    await ann.write('#input', way);
  }
  await ann.reads('.message', ['before', 'cut', 'reset']);
});
