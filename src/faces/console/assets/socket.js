// A connection that comes back by itself: Socket.IO 5, as far as the console needs it (docs/PROTOCOL.md). Events with one argument and
// acknowledgements, in the namespace `/`.

import { PollingTransport, WebSocketTransport } from './transports.js';

/** Tried in this order, at each connection. */
const TRANSPORTS = [WebSocketTransport, PollingTransport];

/** How long a server may take to open a connection, in milliseconds. */
const HANDSHAKE = 10_000;

/** How long to wait before connecting again, in milliseconds: about so long at first, twice as long each time, never longer. */
const FIRST_WAIT = 300;
const LONGEST_WAIT = 5_000;

/** A connection that lasted so long was a good one, in milliseconds: the next wait is short again. */
const GOOD = 5_000;

/** What is answered in place of a server that did not: whether it did what it was asked for is not known. */
export const NO_ANSWER = { ok: false, retryable: true, code: 'no_answer', message: 'The server did not answer.' };

const TOO_LARGE = { ok: false, retryable: false, code: 'too_large', message: 'The message is too long.' };

export class Socket {
  #server;
  #on;
  #transport = null;
  #isClosed = false;
  #connectedAt = 0;
  #failures = 0;
  /** Runs until the next packet has to be there; without a transport, until the next try. */
  #timer;
  #patience = HANDSHAKE;
  #maxPayload = 0;
  /** Who waits for an answer, by number: `{answered, timer}`. */
  #asked = new Map();
  #number = 0;
  /** By what the server recognises this page, and what it has sent it already. */
  #page = {};

  /**
   * @param {string} server its address
   * @param {{connected, disconnected, event}} on `connected()`; `disconnected()`, also when a try to connect has failed;
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

  /** Calls `answered` once: with the answer, or with `NO_ANSWER` after `patience` milliseconds or if the connection is lost. */
  ask(name, argument, patience, answered) {
    if (!this.isConnected) return answered(NO_ANSWER);
    const number = this.#number++;
    const packet = `42${number}${JSON.stringify([name, argument])}`;
    // The server closes a connection on which a packet is larger than it takes.
    if (3 * packet.length > this.#maxPayload && new Blob([packet]).size > this.#maxPayload) return answered(TOO_LARGE);
    const timer = setTimeout(() => this.#answered(number, NO_ANSWER), patience);
    this.#asked.set(number, { answered, timer });
    this.#transport.send(packet);
  }

  /** Ends this connection, and connects again after so many milliseconds; without a number, when it thinks best. */
  reconnect(after) {
    if (this.#transport) this.#lost(after);
  }

  /** Does not wait any longer before the next try. */
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
    this.#patience = HANDSHAKE;
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
      // Disconnected, or not let in.
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
    const wasGood = this.isConnected && Date.now() - this.#connectedAt >= GOOD;
    this.#failures = wasGood ? 0 : this.#failures + 1;
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
