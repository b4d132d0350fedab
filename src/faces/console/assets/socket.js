// A connection that reconnects by itself. Implements the part of Socket.IO 5 that the console needs (docs/PROTOCOL.md): events with one
// argument and acknowledgements, in the namespace `/`.

import { PollingTransport, WebSocketTransport } from './transports.js';

/** The transports, in the order in which they are tried for each connection. */
const TRANSPORTS = [WebSocketTransport, PollingTransport];

/** Timeout of opening a connection, in milliseconds. */
const HANDSHAKE_TIMEOUT = 10_000;

/** Delay before a reconnect, in milliseconds: about the first value, doubled each time, up to the second. */
const FIRST_WAIT = 300;
const LONGEST_WAIT = 5_000;

/** Age at which a connection counts as stable, in milliseconds. When it is lost, the delay begins again at the first value. */
const STABLE_AGE = 5_000;

/** The acknowledgement if the server sent none. Whether it has handled the event is unknown. */
export const NO_ANSWER = { ok: false, retryable: true, code: 'no_answer', message: 'The server did not answer.' };

const TOO_LARGE = { ok: false, retryable: false, code: 'too_large', message: 'The message is too long.' };

export class Socket {
  #server;
  #on;
  #transport = null;
  #isClosed = false;
  #connectedAt = 0;
  #failures = 0;
  /** Runs until the next packet must have arrived; without a transport, until the next attempt. */
  #timer;
  #patience = HANDSHAKE_TIMEOUT;
  #maxPayload = 0;
  /** Pending acknowledgements, by number: `{answered, timer}`. */
  #asked = new Map();
  #number = 0;
  /** The `pid` and offset with which the server recovers this page. */
  #page = {};

  /**
   * @param {string} server its URL
   * @param {{connected, disconnected, event}} on `connected()`; `disconnected()`, also after a failed attempt;
   *   `event(name, argument)`
   */
  constructor(server, on) {
    this.#server = server;
    this.#on = on;
    this.#open();
  }

  get isConnected() {
    return this.#connectedAt > 0;
  }

  emit(name, argument) {
    if (this.isConnected) this.#transport.send(`42${JSON.stringify([name, argument])}`);
  }

  /** Calls `answered` once: with the acknowledgement, or with `NO_ANSWER` after `patience` milliseconds or if the connection is lost. */
  ask(name, argument, patience, answered) {
    if (!this.isConnected) return answered(NO_ANSWER);
    const number = this.#number++;
    const packet = `42${number}${JSON.stringify([name, argument])}`;
    // The server closes a connection that sends a larger packet.
    if (3 * packet.length > this.#maxPayload && new Blob([packet]).size > this.#maxPayload) return answered(TOO_LARGE);
    const timer = setTimeout(() => this.#answered(number, NO_ANSWER), patience);
    this.#asked.set(number, { answered, timer });
    this.#transport.send(packet);
  }

  /** Closes the connection, and reconnects after this many milliseconds, or after the usual delay. */
  reconnect(after) {
    if (this.#transport) this.#lost(after);
  }

  /** Reconnects without waiting any longer. */
  hurry() {
    if (!this.#transport && !this.#isClosed) this.#open();
  }

  close() {
    this.#isClosed = true;
    if (this.#transport) this.#lost();
    clearTimeout(this.#timer);
  }

  #open([Transport, ...others] = TRANSPORTS) {
    let isOpen = false;
    const packet = (text) => {
      isOpen = true;
      this.#received(text);
    };
    const closed = () => (isOpen || others.length === 0 ? this.#lost() : this.#open(others));
    const transport = (this.#transport = new Transport(this.#server, { packet, closed }));
    this.#patience = HANDSHAKE_TIMEOUT;
    this.#expectPacket(() => {
      transport.close();
      closed();
    });
  }

  #expectPacket(silent = () => this.#lost()) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(silent, this.#patience);
  }

  #received(packet) {
    const [type, text] = [packet[0], packet.slice(1)];
    if (type === '0') this.#opened(JSON.parse(text));
    this.#expectPacket();
    if (type === '1') this.#lost();
    if (type === '2') this.#transport.send('3');
    if (type === '4') this.#message(text[0], text.slice(1));
  }

  #opened({ pingInterval, pingTimeout, maxPayload }) {
    this.#patience = pingInterval + pingTimeout;
    this.#maxPayload = maxPayload;
    const { pid, offset } = this.#page;
    this.#transport.send(offset ? `40${JSON.stringify({ pid, offset })}` : '40');
  }

  #message(type, text) {
    const number = /^\d*/.exec(text)[0];
    const content = JSON.parse(text.slice(number.length) || 'null');
    if (type === '0') {
      this.#connectedAt = Date.now();
      this.#page.pid = content.pid;
      this.#on.connected();
    } else if (type === '2') {
      const [name, argument, offset] = content;
      if (offset) this.#page.offset = offset;
      this.#on.event(name, argument);
    } else if (type === '3') {
      this.#answered(Number(number), content[0]);
    } else {
      // Disconnected, or rejected.
      this.#lost();
    }
  }

  #answered(number, answer) {
    const asked = this.#asked.get(number);
    this.#asked.delete(number);
    clearTimeout(asked?.timer);
    asked?.answered(answer);
  }

  #lost(after) {
    const wasStable = this.isConnected && Date.now() - this.#connectedAt >= STABLE_AGE;
    this.#failures = wasStable ? 0 : this.#failures + 1;
    this.#connectedAt = 0;
    this.#transport.close();
    this.#transport = null;
    clearTimeout(this.#timer);
    const wait = Math.min(FIRST_WAIT * 2 ** this.#failures, LONGEST_WAIT) * (0.5 + Math.random());
    if (!this.#isClosed) this.#timer = setTimeout(() => this.hurry(), after ?? wait);
    this.#on.disconnected();
    for (const number of [...this.#asked.keys()]) this.#answered(number, NO_ANSWER);
  }
}
