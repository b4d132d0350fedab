// A connection that authenticates after each reconnect.

import { NO_ANSWER, Socket } from './socket.js';

/** How long an acknowledgement may take, in milliseconds. */
const PATIENCE = 10_000;
/** How long to wait before an `authenticate` is retried, in milliseconds. */
const AGAIN = 2_000;

export class Link {
  /** Whether the current connection is authenticated. */
  isUp = false;
  #socket;
  #token;
  #hear;
  /** Counts connections. */
  #connection = 0;
  #listening = new AbortController();

  /**
   * @param {string} token
   * @param {{up, down, ended, event}} hear `up({userId, role})` after each `authenticate`, `down()` when the connection is lost,
   *   `ended(message)` when the token has become invalid, `event(name, payload)` for other events
   */
  constructor(token, hear) {
    this.#token = token;
    this.#hear = hear;
    this.#socket = new Socket(location.href, {
      connected: () => this.#authenticate(++this.#connection),
      disconnected: () => this.#lost(),
      event: (name, payload) => this.#heard(name, payload),
    });
    // Detects a lost network early, and reconnects at once when it is back.
    const { signal } = this.#listening;
    window.addEventListener('offline', () => this.#socket.reconnect(), { signal });
    window.addEventListener('online', () => this.#socket.hurry(), { signal });
  }

  /** Emits an event and returns its acknowledgement: `{ok, code, message, retryable, ...}`. Never throws. */
  ask(name, payload) {
    return new Promise((answered) => this.#socket.ask(name, payload, PATIENCE, answered));
  }

  /** Emits an event, or drops it without a connection. */
  tell(name, payload) {
    if (this.isUp) this.#socket.emit(name, payload);
  }

  close() {
    this.#token = null;
    this.isUp = false;
    this.#listening.abort();
    this.#socket.close();
  }

  #authenticate(connection) {
    const shown = { token: this.#token, catchUp: false, receipts: true };
    // A callback, because events right after the acknowledgement must find the link up.
    this.#socket.ask('authenticate', shown, PATIENCE, (answer) => {
      // The connection may have been replaced.
      const isOver = () => !this.#token || connection !== this.#connection || !this.#socket.isConnected;
      if (isOver()) return;
      if (answer.ok) {
        this.isUp = true;
        this.#hear.up(answer);
      } else if (answer.retryable) {
        setTimeout(() => isOver() || this.#authenticate(connection), answer.retryAfterMs ?? AGAIN);
      } else {
        this.#end(answer.code === 'token_expired' ? 'Token expired' : answer.message);
      }
    });
  }

  #heard(name, payload) {
    // Each client gets a delay of its own, so that they do not all reconnect at once.
    if (name === 'server-stopping') return this.#socket.reconnect(payload.comeBackAfterMs);
    if (!this.isUp) return;
    // Before the acknowledgement of `authenticate`, this is only a reminder to authenticate.
    if (name === 'authenticated' && !payload.success) return this.#end(payload.message);
    this.#hear.event(name, payload);
  }

  #lost() {
    this.isUp = false;
    if (this.#token) this.#hear.down();
  }

  #end(message) {
    this.close();
    this.#hear.ended(message);
  }
}
