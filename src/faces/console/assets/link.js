// A connection that authenticates after each reconnect.

import { NO_ANSWER, Socket } from './socket.js';

/** Timeout of an acknowledgement, in milliseconds. */
const ACK_TIMEOUT = 10_000;
/** Delay before `authenticate` is retried, in milliseconds. */
const RETRY_DELAY = 2_000;

export class Link {
  /** Whether the current connection is authenticated. */
  isUp = false;
  #socket;
  #token;
  #on;
  /** Counts connections. */
  #connection = 0;
  #listening = new AbortController();

  /**
   * @param {string} token
   * @param {{up, down, ended, event}} on `up({userId, role})` after each `authenticate`, `down()` when the connection is lost,
   *   `ended(message)` when the token has become invalid, `event(name, payload)` for other events
   */
  constructor(token, on) {
    this.#token = token;
    this.#on = on;
    this.#socket = new Socket(location.href, {
      connected: () => this.#authenticate(++this.#connection),
      disconnected: () => this.#lost(),
      event: (name, payload) => this.#received(name, payload),
    });
    // Detects a lost network early, and reconnects at once when it is back.
    const { signal } = this.#listening;
    window.addEventListener('offline', () => this.#socket.reconnect(), { signal });
    window.addEventListener('online', () => this.#socket.hurry(), { signal });
  }

  /** Emits an event and returns its acknowledgement: `{ok, code, message, retryable, ...}`. Never throws. */
  ask(name, payload) {
    return new Promise((answered) => this.#socket.ask(name, payload, ACK_TIMEOUT, answered));
  }

  /** Emits an event. Without a connection, the event is dropped. */
  emit(name, payload) {
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
    // A callback, because the link must be up before the next event is handled.
    this.#socket.ask('authenticate', shown, ACK_TIMEOUT, (answer) => {
      // The connection may have been replaced.
      const isOver = () => !this.#token || connection !== this.#connection || !this.#socket.isConnected;
      if (isOver()) return;
      if (answer.ok) {
        this.isUp = true;
        this.#on.up(answer);
      } else if (answer.retryable) {
        setTimeout(() => isOver() || this.#authenticate(connection), answer.retryAfterMs ?? RETRY_DELAY);
      } else {
        this.#end(answer.code === 'token_expired' ? 'Token expired' : answer.message);
      }
    });
  }

  #received(name, payload) {
    // Each client gets a delay of its own, so that they do not all reconnect at once.
    if (name === 'server-stopping') return this.#socket.reconnect(payload.comeBackAfterMs);
    if (!this.isUp) return;
    // Before the acknowledgement of `authenticate`, this is only a reminder to authenticate.
    if (name === 'authenticated' && !payload.success) return this.#end(payload.message);
    this.#on.event(name, payload);
  }

  #lost() {
    this.isUp = false;
    if (this.#token) this.#on.down();
  }

  #end(message) {
    this.close();
    this.#on.ended(message);
  }
}
