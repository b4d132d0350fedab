// A stock socket.io-client, with a record of every event it heard, in order.

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

import { io } from 'socket.io-client';

/** How long anything may take that has to happen, in milliseconds. */
export const DEADLINE = 15_000;
let count = 0;

export class Client {
  /** Every event heard: `{order, name, args, taken}`; `order` counts over all clients of the process. */
  events = [];
  #waiting = new Set();

  constructor(name, url, { transports, connect = io, ...options } = {}) {
    this.name = name;
    this.isUpgrading = transports.length > 1;
    this.socket = connect(url, {
      transports,
      forceNew: true,
      multiplex: false,
      // The frontend's policy, only sooner.
      reconnection: true,
      reconnectionDelay: 100,
      reconnectionDelayMax: 400,
      reconnectionAttempts: 60,
      ...options,
    });
    this.socket.on('connect', () => this.#heard('<connect>', []));
    this.socket.on('disconnect', (reason) => this.#heard('<disconnect>', [reason]));
    if (this.socket.onAny) {
      this.socket.onAny((event, ...args) => this.#heard(event, args));
    } else {
      const onevent = this.socket.onevent;
      this.socket.onevent = (packet) => {
        this.#heard(packet.data[0], packet.data.slice(1));
        onevent.call(this.socket, packet);
      };
    }
  }

  #heard(name, args) {
    this.events.push({ order: count++, name, args, taken: false });
    for (const check of [...this.#waiting]) check();
  }

  get engine() {
    return this.socket.io.engine;
  }

  /** Waits until it is connected, and upgraded if it is to be. */
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

  /** Authenticates now and at every later `connect`, and takes what that brings. */
  async signIn(token) {
    const signIn = () => this.socket.emit('authenticate', token);
    this.socket.on('connect', signIn);
    signIn();
    const answer = await this.waitFor('authenticated');
    assert.equal(answer.success, true, `${this.name}: ${JSON.stringify(answer)}`);
    // The answer to this comes after all that authenticating brings.
    await this.hearOut();
  }

  /**
   * Waits for an event that nobody waited for yet, and gives its first argument.
   *
   * @param {string} name
   * @param {((payload: any) => boolean) | object} predicate what the payload must be like, or exactly be
   */
  async waitFor(name, predicate = () => true, deadline = DEADLINE) {
    const matches = typeof predicate === 'function' ? predicate : (payload) => isDeepStrictEqual(payload, predicate);
    const find = () => this.events.find((event) => !event.taken && event.name === name && matches(event.args[0]));
    const found = find() ?? (await new Promise((resolve, reject) => {
      const wanted = typeof predicate === 'function' ? '' : ` ${JSON.stringify(predicate)}`;
      const error = new Error(`${this.name} waits for ${name}${wanted}`);
      const late = setTimeout(() => {
        this.#waiting.delete(check);
        error.message += ` in vain; it has heard:\n${this.transcript()}`;
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

  /** Takes all events of a name that have been heard, and gives their payloads. */
  takeAll(name) {
    const found = this.events.filter((event) => !event.taken && event.name === name);
    found.forEach((event) => (event.taken = true));
    return found.map((event) => event.args[0]);
  }

  /** All that was heard of a name, taken or not. */
  all(name) {
    return this.events.filter((event) => event.name === name).map((event) => event.args[0]);
  }

  /** Emits, and waits for the answer that this asks for. */
  ask(name, ...args) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${this.name}: no answer to ${name}`)), DEADLINE);
      this.socket.emit(name, ...args, (answer) => {
        clearTimeout(late);
        resolve(answer);
      });
    });
  }

  /** There and back again: what the server had to say to this client before, has been heard after. */
  async roundTrip() {
    const answer = await this.ask('is-anybody-there');
    assert.equal(answer.ok, false);
  }

  /** Lets so much time pass that what it says next cannot have been on its way before what it has heard. */
  async settle() {
    // Who polls shows what it has by asking for more, and may not have done so yet.
    await delay(this.engine.transport.name === 'polling' ? 2300 : 800);
  }

  emit(...args) {
    this.socket.emit(...args);
  }

  /** Hears out what is on its way, and passes over news of who came. */
  async hearOut() {
    await this.roundTrip();
    this.takeAll('user-online');
  }

  /** Says something and waits for its confirmation. */
  async send(receiver, message, more = {}) {
    this.emit('send-message', { receiverId: receiver.id, message, ...more });
    return this.waitFor('message-sent', (sent) => sent.message === message);
  }

  /**
   * Waits `ms`, then sees to it that nothing was heard that nobody waited for, but what may come late: see {@link #late}.
   */
  async nothingMore(ms = 80) {
    await delay(ms);
    if (this.socket.connected) await this.roundTrip();
    const late = this.#late();
    const left = this.events.filter((event) => !event.taken && !late.has(event));
    assert.equal(left.length, 0, `${this.name} has heard more than expected:\n${this.transcript()}`);
  }

  /**
   * The news that the desk is away, told some time after each authentication: once at most, and never to whom the desk was last
   * said to be there, since then it is news that a test has to wait for.
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

  /** Loses the connection, and comes back by itself a moment later. */
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
