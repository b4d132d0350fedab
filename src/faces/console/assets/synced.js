// Data that is fetched once and kept current by events, without gaps or duplicates.

import { Refused } from './account.js';

/** Delay before a failed fetch is retried, in milliseconds. */
const RETRY_DELAY = 2_000;

/**
 * Subscribes first and fetches second. Events during a fetch are held and applied afterwards, so `apply` must ignore events that the
 * fetched state already contains.
 *
 * Subclasses implement `fetch`, `accept` for the fetched state, and `apply` for an event.
 */
export class Synced {
  /** Whether the data is current, apart from events on their way. */
  isCurrent = false;
  /** Called after each change. */
  changed = () => {};
  /** Called with a `Refused` that a retry cannot fix. */
  refused = () => {};
  #held = [];
  #turn = 0;

  /** Handles an event. */
  handle(name, payload) {
    if (!this.isCurrent) return void this.#held.push([name, payload]);
    if (this.apply(name, payload) !== false) this.changed();
  }

  /** To be called when the connection is lost, since events may be missed from now on. */
  halt() {
    this.#turn++;
    this.#held = [];
    this.isCurrent = false;
  }

  /** Fetches the state. It contains all earlier events, since nothing is published before it is stored. */
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
        await new Promise((done) => setTimeout(done, RETRY_DELAY));
      }
    }
  }
}
