// The connection to the server: comes back by itself, says who it is, and passes on what it hears.

import { io } from './socket.io.esm.min.js';

/** How long an answer may take, in milliseconds. */
const PATIENCE = 10_000;
/** How long to wait before asking again for what the server could not do now. */
const AGAIN = 2_000;

/** What is answered in place of a server that did not: whether it did what it was asked for is not known. */
const NO_ANSWER = { ok: false, retryable: true, code: 'no_answer', message: 'The server did not answer.' };

export class Link {
  /** Whether the server knows who this is, on the connection of now. */
  isUp = false;
  #socket;
  #token;
  #hear;

  /**
   * @param {string} token
   * @param {{up, down, ended, event}} hear `up({userId, role})` at each connection, `down()` when it is lost,
   *   `ended(message)` when the token is good no more, `event(name, payload)` for everything else
   */
  constructor(token, hear) {
    this.#token = token;
    this.#hear = hear;
    const socket = (this.#socket = io({
      // Where a proxy lets no websocket through, polling does.
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      reconnectionDelay: 300,
      reconnectionDelayMax: 5_000,
    }));
    socket.on('connect', () => this.#authenticate());
    socket.on('disconnect', (reason) => {
      this.#lost();
      // A server that ended it on purpose is not called again by the library.
      if (reason === 'io server disconnect') setTimeout(() => this.#token && socket.connect(), AGAIN);
    });
    socket.on('connect_error', () => this.#lost());
    socket.on('server-stopping', ({ comeBackAfterMs }) => {
      // Each client is told another moment, so that they do not all come back in one.
      socket.disconnect();
      setTimeout(() => this.#token && socket.connect(), comeBackAfterMs);
    });
    socket.on('authenticated', ({ success, message }) => {
      // Before the answer to `authenticate`, this is a reminder for those who have not said who they are.
      if (!success && this.isUp) this.#end(message);
    });
    socket.onAny((name, payload) => this.isUp && this.#hear.event(name, payload));
  }

  /** Asks for something, and gives its answer: `{ok, code, message, retryable, ...}`. Never throws. */
  async ask(name, payload) {
    if (!this.#socket.connected) return NO_ANSWER;
    try {
      return await this.#socket.timeout(PATIENCE).emitWithAck(name, payload);
    } catch {
      return NO_ANSWER;
    }
  }

  /** Says something that is worth nothing later. */
  tell(name, payload) {
    if (this.isUp) this.#socket.emit(name, payload);
  }

  close() {
    this.#token = null;
    this.isUp = false;
    this.#socket.offAny();
    this.#socket.disconnect();
  }

  #authenticate() {
    const { id } = this.#socket;
    const shown = { token: this.#token, catchUp: false, receipts: true };
    // By callback: what comes right behind the answer must find that the link is up.
    this.#socket.timeout(PATIENCE).emit('authenticate', shown, (late, answer = NO_ANSWER) => {
      // Another connection may have taken the place of the one that was asked on.
      if (!this.#token || this.#socket.id !== id) return;
      if (!late && answer.ok) {
        this.isUp = true;
        this.#hear.up(answer);
      } else if (late || answer.retryable) {
        setTimeout(() => this.#socket.id === id && this.#authenticate(), AGAIN);
      } else {
        this.#end(answer.code === 'token_expired' ? 'Token expired' : answer.message);
      }
    });
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
