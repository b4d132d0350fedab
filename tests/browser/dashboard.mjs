// Actions of people on the dashboard-like page.

import { DEADLINE, Screen, signedIn } from './support/harness.mjs';

/** Opens a person's chat screen, signed in. */
export async function openChat(t, place, account, options) {
  const screen = await Screen.open(t, place, '/dashboard/', { storage: signedIn(account), ...options });
  await screen.click('#to-chat');
  return screen;
}

/**
 * Opens an agent's conversation with a customer from the list.
 *
 * The page removes the list while it loads it, which it does for each message that it receives, missed ones included. A click at that
 * moment is lost, so it is repeated, as a person would do. Otherwise the pane opens at once.
 */
export async function openPane(screen, { name }) {
  const pane = screen.page.locator('#pane');
  const until = Date.now() + DEADLINE;
  do {
    if (Date.now() > until) throw new Error(`the conversation with ${name} does not open`);
    await screen.click('.person', { hasText: name });
  } while (!(await pane.isVisible()));
  await screen.page.locator('#input:enabled').waitFor();
}

/** Waits until a customer can write. */
export async function customerReady(screen) {
  await screen.sees('#status', 'Online');
  await screen.page.locator('#input:enabled').waitFor();
}
