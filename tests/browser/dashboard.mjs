// What people do on the dashboard-like page.

import { Screen, signedIn } from './support/harness.mjs';

/** Opens the chat screen of somebody, signed in. */
export async function openChat(t, place, account, options) {
  const screen = await Screen.open(t, place, '/dashboard/', { storage: signedIn(account), ...options });
  await screen.click('#to-chat');
  return screen;
}

/** Opens an agent's conversation with a customer from the list. */
export async function openPane(screen, { name }) {
  await screen.click('.person', { hasText: name });
  await screen.page.locator('#input:enabled').waitFor();
}

/** Waits until a customer's screen can be written on. */
export async function customerReady(screen) {
  await screen.sees('#status', 'Online');
  await screen.page.locator('#input:enabled').waitFor();
}
