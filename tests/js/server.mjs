// A server for a single test: a scratch folder, port 0, known accounts.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { Client } from './client.mjs';

/** The project's folder. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** The program under test. */
export const BINARY = [process.env.DESKLINE_BIN, join(ROOT, 'target/release/deskline'), join(ROOT, 'target/debug/deskline')]
  .find((path) => path && existsSync(path));
const SECRET = 'a secret for these tests alone, and for nothing else';

/** How long a server may take to stop, in milliseconds. Its own deadline is a little shorter. */
const STOP = 30_000;

export const PASSWORD = 'secret1';

/** Customers see the desk under the first admin's id, also when the second one answers. */
const ACCOUNTS = [
  { key: 'admin', name: 'Admin', email: 'admin@x.test', role: 'admin' },
  { key: 'second', name: 'Second', email: 'second@x.test', role: 'admin' },
  { key: 'ann', name: 'Ann', email: 'ann@x.test', role: 'user' },
  { key: 'bob', name: 'Bob', email: 'bob@x.test', role: 'user' },
  { key: 'blocked', name: 'Blocked', email: 'blocked@x.test', role: 'user' },
];

// Long enough that no timer fires in a test that is not about it. Flags of a test precede these.
const CALM = {
  DESKLINE_OFFLINE_GRACE: '300ms',
  DESKLINE_TYPING_TTL: '60s',
  DESKLINE_SILENCE: '60s',
  DESKLINE_SEND_RATE: '0',
  DESKLINE_LOG: 'warn',
};

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Runs the program to its end, and returns its output. */
async function run(args, input = '') {
  assert.ok(BINARY, 'no deskline to test: build it, or name one in DESKLINE_BIN');
  const child = spawn(BINARY, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: tmpdir() });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (output += data));
  // A command that reads no input may exit before the empty input is written.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  assert.equal(code, 0, `deskline ${args.join(' ')}: ${output}`);
  return output;
}

/** A data file with all accounts. It is created once per test file, because hashing passwords is slow on purpose. */
let template;
async function makeTemplate() {
  const folder = mkdtempSync(join(tmpdir(), 'deskline-js-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, 'desk.db');
  const add = async ({ key, name, email, role }) => {
    const output = await run(['user', '--data', data, 'add', email, '--role', role, '--name', name], `${PASSWORD}\n`);
    return { key, name, email, role, id: /id ([0-9a-f]{24})/.exec(output)[1] };
  };
  const [first, ...rest] = ACCOUNTS;
  const accounts = [await add(first), ...(await Promise.all(rest.map(add)))];
  await run(['user', '--data', data, 'block', 'blocked@x.test']);
  return { folder, accounts: Object.fromEntries(accounts.map((account) => [account.key, account])) };
}

/** A token as the server issues them, for this account; valid for `ttl` seconds. */
export function mint({ id, role }, { ttl = 3600, secret = SECRET } = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const head = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ id, role, iat: now, exp: now + ttl })}`;
  return `${head}.${createHmac('sha256', secret).update(head).digest('base64url')}`;
}

export class Server {
  #clients = new Set();
  #folder;
  #args;
  #child;
  #transports;

  constructor(folder, accounts, args, transports) {
    this.#folder = folder;
    this.#args = args;
    this.#transports = transports;
    this.accounts = accounts;
    Object.assign(this, accounts);
  }

  /**
   * Starts a server, and stops it at the end of the test.
   *
   * @param {import('node:test').TestContext} t
   * @param {{args?: string[], transports?: string[]}} options flags, and the transports of its clients
   */
  static async start(t, { args = [], transports = ['websocket'] } = {}) {
    template ??= makeTemplate();
    const { folder: from, accounts } = await template;
    const folder = mkdtempSync(join(tmpdir(), 'deskline-js-'));
    cpSync(from, folder, { recursive: true });
    const server = new Server(folder, structuredClone(accounts), args, transports);
    t.after(() => server.end());
    await server.#run('127.0.0.1:0');
    return server;
  }

  get #data() {
    return join(this.#folder, 'desk.db');
  }

  async #run(listen) {
    const args = ['--listen', listen, '--data', this.#data, '--jwt-secret', SECRET, ...this.#args];
    // Settings in the environment of the test run must not reach the server.
    const foreign = /^DESKLINE_|^(PORT|JWT_SECRET|CLIENT_URL|MONGODB_URI)$/;
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
    const options = { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.#folder, env: { ...env, ...CALM } };
    const child = spawn(BINARY, args, options);
    running.add(child);
    this.#child = child;
    this.log = '';
    child.stderr.on('data', (data) => (this.log += data));
    child.exited = once(child, 'exit').then(([code, signal]) => {
      running.delete(child);
      return code ?? signal;
    });
    for await (const line of createInterface({ input: child.stdout })) {
      this.log += `${line}\n`;
      const found = /listens on (http:\/\/(\S+))/.exec(line);
      if (found) {
        [, this.url, this.address] = found;
        child.stdout.resume();
        return;
      }
    }
    throw new Error(`deskline did not start: ${this.log}`);
  }

  /** Stops it with SIGTERM, and asserts that it exits with 0. */
  async stop() {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const late = setTimeout(() => child.kill('SIGKILL'), STOP);
    child.kill('SIGTERM');
    const code = await child.exited;
    clearTimeout(late);
    assert.equal(code, 0, `deskline did not stop well: ${this.log}`);
  }

  /** Starts it again at the same address and on the same data. */
  async restart() {
    await this.stop();
    await this.#run(this.address);
  }

  /** Kills it without warning. `restart` starts it again. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.#child.exited;
  }

  /** Kills it without warning, as in a power cut, and starts it again. */
  async crash() {
    await this.kill();
    await this.#run(this.address);
  }

  async end() {
    await Promise.all([...this.#clients].map((client) => client.close()));
    try {
      await this.stop();
      assert.doesNotMatch(this.log, /panicked/, this.log);
    } finally {
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** `deskline user --data FILE ...`, while the server runs. */
  user(args, input) {
    return run(['user', '--data', this.#data, ...args], input);
  }

  token(account, options) {
    return mint(account, options);
  }

  /** A client that is connecting. */
  client(name, options = {}) {
    const client = new Client(name, options.url ?? this.url, { transports: this.#transports, ...options });
    client.desk = this.admin?.id;
    this.#clients.add(client);
    return client;
  }

  /** A connected client that has not authenticated. */
  async connect(name, options = {}) {
    const client = this.client(name, options);
    await client.connected();
    return client;
  }

  /**
   * A client that has authenticated and received all events that follow. Like the frontend, it authenticates at every `connect`.
   */
  async signIn(account, options = {}) {
    const client = await this.connect(options.name ?? account.key, options);
    await client.signIn(options.token ?? mint(account));
    return client;
  }

  /** Sends a request. `as` is an account or a token; `body` is sent as JSON, `raw` unchanged. */
  async rest(method, path, { as, body, raw, headers = {} } = {}) {
    const sent = { ...headers };
    if (as !== undefined) sent.authorization = `Bearer ${typeof as === 'object' && as ? mint(as) : as}`;
    if (body !== undefined || raw !== undefined) sent['content-type'] ??= 'application/json';
    const response = await fetch(this.url + path, { method, headers: sent, body: raw ?? JSON.stringify(body) });
    const text = await response.text();
    const isJson = (response.headers.get('content-type') ?? '').startsWith('application/json');
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : text };
  }

  get(path, as) {
    return this.rest('GET', path, { as });
  }
}
