// Who this is, on a connection that comes back by itself: authenticates on each, and passes on what it hears.

import { NO_ANSWER, Socket } from './socket.js';

/** How long an answer may take, in milliseconds. */
const PATIENCE = 10_000;
/** How long to wait before asking again for what the server could not do now. */
const AGAIN = 2_000;

export class Link {
  /** Whether the server knows who this is, on the connection of now. */
  isUp = false;
  #socket;
  #token;
  #hear;
  /** Counts connections. */
  #connection = 0;
  #listening = new AbortController();

  /**
   * @param {string} token
   * @param {{up, down, ended, event}} hear `up({userId, role})` at each connection, `down()` when it is lost,
   *   `ended(message)` when the token is good no more, `event(name, payload)` for everything else
   */
  constructor(token, hear) {
    this.#token = token;
    this.#hear = hear;
    this.#socket = new Socket(location.href, {
      connected: () => this.#authenticate(++this.#connection),
      disconnected: () => this.#lost(),
      event: (name, payload) => this.#heard(name, payload),
    });
    // A network that is gone takes a while to be noticed otherwise, and one that is back is worth a try at once.
    const { signal } = this.#listening;
    window.addEventListener('offline', () => this.#socket.reconnect(), { signal });
    window.addEventListener('online', () => this.#socket.hurry(), { signal });
  }

  /** Asks for something, and gives its answer: `{ok, code, message, retryable, ...}`. Never throws. */
  ask(name, payload) {
    return new Promise((answered) => this.#socket.ask(name, payload, PATIENCE, answered));
  }

  /** Says something that is worth nothing later. */
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
    // By callback: what comes right behind the answer must find that the link is up.
    this.#socket.ask('authenticate', shown, PATIENCE, (answer) => {
      // Another connection may have taken the place of the one that was asked on.
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
    // Each client is told another moment, so that they do not all come back in one.
    if (name === 'server-stopping') return this.#socket.reconnect(payload.comeBackAfterMs);
    if (!this.isUp) return;
    // Before the answer to `authenticate`, this is a reminder for those who have not said who they are.
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
