// Finds Chromium: at CHROMIUM, or in the usual places. Without it the tests are skipped, or fail in CI.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { chromium } from 'playwright-core';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env.CHROMIUM ?? places.find((place) => existsSync(place));

/** Why a test is skipped, or `false`. */
export const skip = !executablePath && process.env.CI !== 'true'
  && '*** SKIPPED: Chromium is not installed (apt-get install chromium) ***';

/** A browser until the end of the test. */
export async function launch(t) {
  assert.ok(executablePath, 'there is no Chromium to test with');
  const args = ['--no-sandbox', '--disable-dev-shm-usage'];
  const browser = await chromium.launch({ executablePath, args, timeout: 60_000 });
  t.after(() => browser.close());
  return browser;
}
