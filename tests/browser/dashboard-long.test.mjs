// Long messages on a dashboard-like page.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { skip } from './chromium.mjs';
import { customerReady, openChat, openPane } from './dashboard.mjs';
import { DEADLINE, site } from './support/harness.mjs';

/** Pastes a text and sends it. */
async function paste(screen, text) {
  await screen.page.locator('#input').fill(text);
  await screen.click('#send');
}

/** What the page writes to the console when the server refuses something. */
const refusal = (screen) =>
  screen.page.waitForEvent('console', { predicate: (line) => line.text().startsWith('Socket error:'), timeout: DEADLINE });

async function scene(t) {
  const place = await site(t);
  const ann = await openChat(t, place, place.server.ann);
  await customerReady(ann);
  await ann.write('#input', 'before');
  await ann.reads('.message', ['before']);
  const admin = await openChat(t, place, place.server.admin);
  await openPane(admin, place.server.ann);
  await admin.reads('.message', ['before']);
  return { ann, admin };
}

test('a message of 900 kB is stored, and shown to the other side', { skip }, async (t) => {
  const { ann, admin } = await scene(t);
  const long = `long ${'x'.repeat(900_000)}`;
  await paste(ann, long);
  for (const screen of [ann, admin]) await screen.reads('.message', ['before', long]);
  await ann.page.reload();
  await ann.click('#to-chat');
  await ann.reads('.message', ['before', long]);
});

test('a message beyond the limit is refused, and the page stays connected', { skip }, async (t) => {
  const { ann, admin } = await scene(t);
  const refused = refusal(ann);
  await paste(ann, 'x'.repeat(1_000_001));
  assert.match((await refused).text(), /Socket error/);
  await ann.write('#input', 'after');
  for (const screen of [ann, admin]) await screen.reads('.message', ['before', 'after']);
});

test('a message beyond the packet limit closes the connection, and the page reconnects', { skip }, async (t) => {
  const { ann, admin } = await scene(t);
  await paste(ann, 'x'.repeat(3 << 20));
  await ann.sees('#status', 'Offline');
  await ann.sees('#status', 'Online');
  await ann.write('#input', 'after');
  for (const screen of [ann, admin]) await screen.reads('.message', ['before', 'after']);
});
