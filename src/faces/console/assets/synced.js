// What is fetched once and kept current by events, without gaps and without telling anything twice.

import { Refused } from './account.js';

/** How long to wait before fetching again what could not be had, in milliseconds. */
const AGAIN = 2_000;

/**
 * Subscribe first, fetch second: what is heard while something is being fetched waits, and is applied afterwards. So `apply`
 * has to know by itself what the fetched state contains already.
 *
 * Those who extend this say how to `fetch`, to `accept` what was fetched, and to `apply` an event.
 */
export class Synced {
  /** Whether it is as the server has it, but for what is on its way. */
  isCurrent = false;
  /** Called after each change. */
  changed = () => {};
  /** Called with a `Refused` that no waiting will mend. */
  refused = () => {};
  #held = [];
  #turn = 0;

  /** An event. */
  take(name, payload) {
    if (!this.isCurrent) return void this.#held.push([name, payload]);
    if (this.apply(name, payload) !== false) this.changed();
  }

  /** The connection is lost: whatever comes next may come after a gap. */
  halt() {
    this.#turn++;
    this.#held = [];
    this.isCurrent = false;
  }

  /** Fetches what is missing. What was heard before is part of it, since nothing is told before it is kept. */
  async sync() {
    this.halt();
    const turn = this.#turn;
    const isOver = () => turn !== this.#turn;
    while (!isOver()) {
      try {
        const fetched = await this.fetch(isOver);
        if (isOver()) return;
        this.accept(fetched);
        this.isCurrent = true;
        for (const event of this.#held) this.apply(...event);
        this.#held = [];
        return this.changed();
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (isOver()) return;
        if ([401, 403].includes(error.status)) return this.refused(error);
        await new Promise((done) => setTimeout(done, AGAIN));
      }
    }
  }
}
