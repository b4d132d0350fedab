// A stock socket.io-client that records every received event, in order.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

import { io } from 'socket.io-client';

/** Timeout of every wait, in milliseconds. */
export const DEADLINE = 15_000;
let count = 0;

export class Client {
  /** Every received event: `{order, name, args, taken}`; `order` counts over all clients of the process. */
  events = [];
  #waiting = new Set();

  constructor(name, url, { transports, connect = io, ...options } = {}) {
    this.name = name;
    this.isUpgrading = transports.length > 1;
    this.socket = connect(url, {
      transports,
      forceNew: true,
      multiplex: false,
      // The frontend's policy, with shorter delays.
      reconnection: true,
      reconnectionDelay: 100,
      reconnectionDelayMax: 400,
      reconnectionAttempts: 60,
      ...options,
    });
    this.socket.on('connect', () => this.#received('<connect>', []));
    this.socket.on('disconnect', (reason) => this.#received('<disconnect>', [reason]));
    if (this.socket.onAny) {
      this.socket.onAny((event, ...args) => this.#received(event, args));
    } else {
      const onevent = this.socket.onevent;
      this.socket.onevent = (packet) => {
        this.#received(packet.data[0], packet.data.slice(1));
        onevent.call(this.socket, packet);
      };
    }
  }

  #received(name, args) {
    this.events.push({ order: count++, name, args, taken: false });
    for (const check of [...this.#waiting]) check();
  }

  get engine() {
    return this.socket.io.engine;
  }

  /** Waits until it is connected, and upgraded if it has several transports. */
  async connected() {
    await this.waitFor('<connect>');
    if (this.isUpgrading) await this.upgraded();
  }

  async upgraded() {
    const { engine } = this;
    if (engine.transport.name === 'websocket') return;
    let late;
    const timeout = new Promise((_, reject) => {
      late = setTimeout(() => reject(new Error(`${this.name} was not upgraded`)), DEADLINE);
    });
    const upgrade = new Promise((resolve) => engine.once('upgrade', resolve));
    await Promise.race([upgrade, timeout]);
    clearTimeout(late);
    assert.equal(engine.transport.name, 'websocket');
  }

  /** Authenticates now and at every later `connect`, and consumes the events that follow. */
  async signIn(token) {
    const signIn = () => this.socket.emit('authenticate', token);
    this.socket.on('connect', signIn);
    signIn();
    const answer = await this.waitFor('authenticated');
    assert.equal(answer.success, true, `${this.name}: ${JSON.stringify(answer)}`);
    // The response to this follows all events that authenticating causes.
    await this.drain();
  }

  /**
   * Waits for an event that has not been consumed yet, and returns its first argument.
   *
   * @param {string} name
   * @param {((payload: any) => boolean) | object} predicate a condition on the payload, or the exact payload
   */
  async waitFor(name, predicate = () => true, deadline = DEADLINE) {
    const matches = typeof predicate === 'function' ? predicate : (payload) => isDeepStrictEqual(payload, predicate);
    const find = () => this.events.find((event) => !event.taken && event.name === name && matches(event.args[0]));
    const found = find() ?? (await new Promise((resolve, reject) => {
      const wanted = typeof predicate === 'function' ? '' : ` ${JSON.stringify(predicate)}`;
      const error = new Error(`${this.name} waits for ${name}${wanted}`);
      const late = setTimeout(() => {
        this.#waiting.delete(check);
        error.message += ` in vain; it has received:\n${this.transcript()}`;
        reject(error);
      }, deadline);
      const check = () => {
        const event = find();
        if (!event) return;
        clearTimeout(late);
        this.#waiting.delete(check);
        resolve(event);
      };
      this.#waiting.add(check);
    }));
    found.taken = true;
    return found.args[0];
  }

  /** Consumes all received events of a name, and returns their payloads. */
  takeAll(name) {
    const found = this.events.filter((event) => !event.taken && event.name === name);
    found.forEach((event) => (event.taken = true));
    return found.map((event) => event.args[0]);
  }

  /** All received events of a name, consumed or not. */
  all(name) {
    return this.events.filter((event) => event.name === name).map((event) => event.args[0]);
  }

  /** Emits with an acknowledgement, and waits for it. */
  ask(name, ...args) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${this.name}: no answer to ${name}`)), DEADLINE);
      this.socket.emit(name, ...args, (answer) => {
        clearTimeout(late);
        resolve(answer);
      });
    });
  }

  /** Makes a round trip. Afterwards, everything that the server sent before has been received. */
  async roundTrip() {
    const answer = await this.ask('is-anybody-there');
    assert.equal(answer.ok, false);
  }

  /** Waits until the server knows that everything it has sent so far has arrived. */
  async settle() {
    const { transport } = this.engine;
    // A pending poll proves it, and so does the pong to a ping, which the server sends if something is in flight.
    if (transport.name === 'polling') return delay(300);
    await Promise.race([new Promise((resolve) => transport.ws.once('ping', resolve)), delay(3000)]);
    await this.roundTrip();
  }

  /** Waits for this many pings of the heartbeat. */
  async heartbeats(count) {
    let pings = 0;
    await new Promise((resolve) => this.socket.io.on('ping', () => (pings += 1) === count && resolve()));
  }

  emit(...args) {
    this.socket.emit(...args);
  }

  /** Receives what is in flight, and ignores presence. */
  async drain() {
    await this.roundTrip();
    this.takeAll('user-online');
  }

  /** Sends a message and waits for its confirmation. */
  async send(receiver, message, more = {}) {
    this.emit('send-message', { receiverId: receiver.id, message, ...more });
    return this.waitFor('message-sent', (sent) => sent.message === message);
  }

  /**
   * Waits `ms`, then asserts that all received events were consumed, except those that may arrive late: see {@link #late}.
   */
  async nothingMore(ms = 80) {
    await delay(ms);
    if (this.socket.connected) await this.roundTrip();
    const late = this.#late();
    const left = this.events.filter((event) => !event.taken && !late.has(event));
    assert.equal(left.length, 0, `${this.name} has received more than expected:\n${this.transcript()}`);
  }

  /**
   * The `user-offline` of the desk, which follows some time after each authentication: at most once, and not if the desk was last
   * announced as online, since a test then has to wait for the event.
   */
  #late() {
    const late = new Set();
    let due = 0;
    let isDeskThere = false;
    for (const event of this.events) {
      const [payload] = event.args;
      if (event.name === 'authenticated' && payload?.success) due += 1;
      if (payload?.userId !== this.desk) continue;
      if (event.name === 'user-online') isDeskThere = true;
      if (event.name !== 'user-offline') continue;
      if (!isDeskThere && !event.taken && due > 0) {
        due -= 1;
        late.add(event);
      }
      isDeskThere = false;
    }
    return late;
  }

  /** Loses the connection, and reconnects by itself a moment later. */
  async drop() {
    this.engine.close();
    await this.waitFor('<disconnect>');
  }

  transcript() {
    const line = ({ name, args, taken }) => `  ${taken ? ' ' : '*'} ${name} ${JSON.stringify(args).slice(0, 300)}`;
    return this.events.map(line).join('\n') || '  (nothing)';
  }

  close() {
    this.socket.disconnect();
    this.socket.io.engine?.close();
  }
}

/** Waits for the same event at several clients. */
export function all(clients, name, predicate) {
  return Promise.all(clients.map((client) => client.waitFor(name, predicate)));
}
