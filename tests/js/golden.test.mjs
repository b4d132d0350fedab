// Replays a recording of the original server and compares step by step: the same clients get the same events in the
// same order, requests get the same status and body. `DIFFERENCES` lists where Deskline differs on purpose.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { eventually } from './expect.mjs';
import { PASSWORD, Server } from './server.mjs';

const recording = JSON.parse(readFileSync(new URL('../fixtures/socketio.json', import.meta.url), 'utf8'));

/** Section numbers of the contract that the recording was made for: 6 lists bugs of the original, 7 improvements. */
const BUG_1 = 'section 6, bug 1: an event without payload kills no server';
const BUG_2 = 'section 6, bug 2: every tab of a person isConnected what is theirs';
const BUG_3 = 'section 6, bug 3: closing one of two tabs changes nothing';
const BUG_4 = 'section 6, bug 4: authenticating as somebody else leaves nothing of the first';
const BUG_5 = 'section 6, bug 5: strangers get no presence, customers that of the desk, and it is sent to each client that connects';
const BUG_6 = 'section 6, bug 6: missed messages arrive after the next authenticate';
const BUG_8 = 'section 6, bug 8: a message to an unknown recipient is refused before it is stored';
const DELETED = 'messages of a deleted account are shown to nobody, not even as the placeholder null of section 6, bug 9';
const BUG_10 = 'section 6, bug 10: all agents share the conversations of the desk';
const BUG_11_SENT = 'section 6, bug 11: a REST send reaches sockets';
const BUG_11_NO_OP = 'section 6, bug 11: a mark that changes nothing is not sent';
const BUG_11_TEXT = 'section 6, bug 11: no raw exception text';
const DEFECT_A = 'section 6, defect A: fetching what the chat screen begins with sends `authenticated` to its sockets';
const DEFECT_E = 'section 6, defect E: other tabs see what one of them sent';
const DEFECT_G = 'section 6, defect G: presence is sent again after the list';
const LIMITS = 'section 7: size limits with an error reply instead of a closed connection';
const HEALTH = 'section 7: /health answers 200 with a status';
const OBJECT = 'section 7: authenticate may also take {token}';
const JSON_404 = 'section 7: unknown paths are answered with JSON';
const JSON_400 = 'section 6, bug 11, and section 4: a body that is not JSON gets 400 with JSON and CORS headers';
const GRACE = 'section 6, bug 3: offline only after a grace period';
const READ_ENTRY = 'section 6, bug 11: reading the history is sent to the author like any other mark';
const STRANGER = 'section 7: nothing is relayed between people without a conversation';
const UNSEEN = 'section 6, bug 5: customers do not see each other';

/** An event that the original sent and Deskline does not. */
const missing = (to, event, why, payload) => ({ kind: 'missing', to, event, why, payload });
/** An event that Deskline sends and the original did not. */
const extra = (to, event, why, payload) => ({ kind: 'extra', to, event, why, payload });
/** A value that differs. `expected` is the present value, or a function that returns whether a value is correct. */
const differs = (where, expected, why) => ({ kind: 'differs', where, expected, why });

const isText = (value) => typeof value === 'string' && value !== '';
const ghost = ({ id }) => ({ userId: id });

/**
 * All intended differences, by step. `where` is `rest N` or `to CLIENT: EVENT`, then a path. Additional keys in an object are allowed
 * everywhere, and not listed.
 */
const DIFFERENCES = ({ admin, ann, bob }) => ({
  'login ok / upper-case email / bad pw / blocked / unverified / empty': [],
  'health / , /health, /api/health, /socket.io/': [
    differs('rest 1.status', 200, HEALTH),
    differs('rest 1.json', (body) => body.status === 'ok', HEALTH),
    differs('rest 2.json', (body) => body.success === false && isText(body.message), JSON_404),
    differs('rest 4.json', (body) => body.success === false && isText(body.message), JSON_404),
  ],
  'admin connects + authenticates': [missing('anon', 'user-online', BUG_5)],
  'ann connects + authenticates': [
    missing('anon', 'user-online', BUG_5),
    extra('ann', 'user-online', BUG_5, ghost(admin)),
  ],
  'authenticate: null, bad, expired, object': [
    missing('anon', 'authenticated', OBJECT, { success: false, message: 'Invalid token' }),
    extra('anon', 'authenticated', OBJECT, { success: true, userId: ann.id, role: 'user' }),
    extra('anon', 'user-online', OBJECT, ghost(ann)),
    extra('anon', 'user-online', BUG_5, ghost(admin)),
    extra('ann', 'user-online', OBJECT, ghost(ann)),
    extra('admin', 'user-online', OBJECT, ghost(ann)),
  ],
  'authenticate again on same socket': [
    missing('anon', 'user-online', BUG_5),
    extra('ann', 'user-online', BUG_5, ghost(admin)),
  ],
  'send-message with ack callback': [differs('ack', (answer) => answer?.ok === true, 'an ack is answered when asked for')],
  'send-message error: bad id': [differs('to ann: error.error', isText, BUG_11_TEXT)],
  'send-message error: unknown user': [differs('to ann: error.error', isText, BUG_11_TEXT)],
  'send-message error: number message': [differs('to ann: error.error', isText, BUG_11_TEXT)],
  'send-message error: no payload': [differs('to ann: error.error', isText, BUG_11_TEXT)],
  'typing from unauthenticated socket': [missing('admin', 'user-typing', STRANGER)],
  'GET unread + conversations (admin)': [
    differs('rest 3.json', (list) => list.length === 1 && list[0].userId === ann.id, BUG_10),
    extra('admin', 'authenticated', DEFECT_A),
    extra('admin', 'user-online', DEFECT_G, ghost(ann)),
  ],
  'mark-read twice (nothing left)': [missing('ann', 'messages-read', BUG_11_NO_OP)],
  'GET /api/chat/admin variants': [],
  'GET messages ann<->admin, bad id, unknown id': [
    differs('rest 2.json', [], BUG_8),
    extra('admin', 'messages-read', READ_ENTRY),
    extra('ann', 'messages-read', READ_ENTRY),
  ],
  'POST /api/chat/send (REST): does the receiver get an event?': [
    extra('admin', 'receive-message', BUG_11_SENT),
    extra('ann', 'message-sent', BUG_11_SENT),
    differs('rest 3.json', (body) => isText(body.message), JSON_400),
    differs('rest 3.cors.acao', 'http://localhost:5173', JSON_400),
    differs('rest 3.cors.acac', 'true', JSON_400),
  ],
  'bob comes online later: told of messages / of who is online?': [
    missing('anon', 'user-online', BUG_5),
    missing('ann', 'user-online', UNSEEN),
    extra('bob', 'user-online', BUG_5, ghost(admin)),
    extra('bob', 'receive-message', BUG_6),
  ],
  'ann opens a 2nd tab': [
    missing('anon', 'user-online', BUG_5),
    missing('bob', 'user-online', UNSEEN),
    extra('ann-tab2', 'user-online', BUG_5, ghost(admin)),
  ],
  'admin -> ann with two tabs open': [extra('ann', 'receive-message', BUG_2)],
  'ann sends from tab1: does tab2 see it?': [extra('ann-tab2', 'message-sent', DEFECT_E)],
  'ann closes tab 2 (tab1 still open)': ['anon', 'admin', 'ann', 'bob'].map((to) => missing(to, 'user-offline', BUG_3)),
  'admin -> ann after tab2 closed (tab1 still open)': [extra('ann', 'receive-message', BUG_3)],
  'bob socket re-authenticates as ann: stale map entry': [
    missing('anon', 'user-online', BUG_5),
    extra('bob', 'user-online', BUG_5, ghost(admin)),
    missing('bob', 'receive-message', BUG_4),
    extra('admin', 'user-offline', GRACE, ghost(bob)),
  ],
  'message of 1.2 MB': [
    ...['anon', 'admin', 'bob'].map((to) => missing(to, 'user-offline', LIMITS)),
    missing('ann', '<disconnect>', LIMITS),
    extra('ann', 'error', LIMITS),
  ],
  'deleted user: messages + conversations': [
    differs('rest 0.json', (history) => history.length === 0, DELETED),
    extra('admin', 'authenticated', DEFECT_A),
    extra('admin', 'user-online', DEFECT_G, ghost(ann)),
  ],
  'authenticated user typing with NO payload (server process survives?)': [
    ...['bob', 'anon', 'admin', 'crash'].map((to) => missing(to, '<disconnect>', BUG_1)),
  ],
});

/** Values that differ in each run are compared by their shape only. */
const SHAPES = {
  _id: /^[0-9a-f]{24}$/,
  userId: /^[0-9a-f]{24}$/,
  readBy: /^[0-9a-f]{24}$/,
  createdAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  updatedAt: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  lastMessageTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  token: /^[\w-]+\.[\w-]+\.[\w-]+$/,
};

/** The paths at which `actual` differs from `recorded`, as `path → [recorded, actual]`. Additional keys are allowed. */
function compare(recorded, actual, path = '', found = new Map()) {
  const key = path.split('.').at(-1);
  if (Array.isArray(recorded)) {
    if (!Array.isArray(actual) || actual.length !== recorded.length) found.set(path, [recorded, actual]);
    else recorded.forEach((item, index) => compare(item, actual[index], `${path}.${index}`, found));
  } else if (recorded !== null && typeof recorded === 'object') {
    if (actual === null || typeof actual !== 'object' || Array.isArray(actual)) found.set(path, [recorded, actual]);
    else Object.keys(recorded).forEach((name) => compare(recorded[name], actual[name], `${path}.${name}`, found));
  } else if (SHAPES[key] && typeof recorded === 'string') {
    // Account ids were replaced beforehand, so they must be equal; of other ids, only the shape is compared.
    const isKnown = known.has(recorded);
    if (isKnown ? recorded !== actual : !SHAPES[key].test(actual)) found.set(path, [recorded, actual]);
  } else if (recorded !== actual) {
    found.set(path, [recorded, actual]);
  }
  return found;
}
const known = new Set();

test('the recording of the original server, replayed', async (t) => {
  const server = await Server.start(t);
  const { admin, second, ann, bob } = server;
  const body = { name: 'Unver', email: 'unver@x.test', password: PASSWORD };
  assert.equal((await server.rest('POST', '/api/auth/register', { body })).status, 201);

  // The recording with our ids, and with placeholders for values that cannot be sent as they were recorded.
  const ours = { [recording.ids.adm]: admin.id, [recording.ids.adm2]: second.id, [recording.ids.ann]: ann.id, [recording.ids.bob]: bob.id };
  Object.values(ours).forEach((id) => known.add(id));
  let text = JSON.stringify(recording.steps);
  for (const [theirs, id] of Object.entries(ours)) text = text.replaceAll(theirs, id);
  const steps = JSON.parse(text);

  const clients = {};
  const connect = async (name) => (clients[name] = await server.connect(name, { reconnection: false }));
  const differences = DIFFERENCES(server);
  const titles = new Set(steps.map((step) => step.name));
  for (const title of Object.keys(differences)) assert.ok(titles.has(title), `no step ${title}`);

  // The recording does not say whose token a request had, but that follows from its response.
  const expired = server.token(ann, { ttl: -10 });
  const callers = {
    'GET /api/chat/admin variants': [ann, admin, undefined, 'x.y.z', expired, 'null'],
    'GET unread + conversations (admin)': [admin, admin, ann, second],
    'GET messages ann<->admin, bad id, unknown id': [ann, ann, ann],
    preflight: [undefined, ann],
    'POST /api/chat/send (REST): does the receiver get an event?': [ann, ann, ann, ann],
    'deleted user: messages + conversations': [admin, admin],
  };
  const before = {
    'anon connect (no auth at all)': () => connect('anon'),
    'admin connects + authenticates': () => connect('admin'),
    'ann connects + authenticates': () => connect('ann'),
    'bob comes online later: told of messages / of who is online?': () => connect('bob'),
    'ann opens a 2nd tab': () => connect('ann-tab2'),
    'deleted user: messages + conversations': () =>
      server.rest('DELETE', `/api/admin/deleteuser/${bob.id}`, { as: admin }),
    'authenticated user typing with NO payload (server process survives?)': async () => {
      await connect('crash');
      // Only its typing notices were recorded.
      await clients.crash.signIn(server.token(second));
    },
  };
  const after = {
    // The caller gets the presence a moment later, when its screen can show it. Nobody else is connected by then.
    'GET /api/chat/admin variants': () => pause(300),
    // The original refused this client; later steps need an unauthenticated one.
    'authenticate: null, bad, expired, object': async () => {
      clients.anon.emit('authenticate', null);
      await settle();
    },
  };
  const tokens = {
    'admin connects + authenticates': [admin],
    'ann connects + authenticates': [ann],
    'authenticate: null, bad, expired, object': [expired, ann],
    'authenticate again on same socket': [ann],
    'bob comes online later: told of messages / of who is online?': [bob],
    'ann opens a 2nd tab': [ann],
    'bob socket re-authenticates as ann: stale map entry': [ann],
  };

  /** Waits until every client has received everything that the last request caused. */
  const settle = async () => {
    const live = Object.values(clients).filter((client) => client.socket.connected);
    for (let round = 0; round < 2; round += 1) await Promise.all(live.map((client) => client.roundTrip()));
  };

  async function replayRequests(step, check) {
    for (const [index, recorded] of step.rest.entries()) {
      const [method, path] = recorded.req.split(' ');
      const headers = { origin: 'http://localhost:5173' };
      if (method === 'OPTIONS') {
        headers['access-control-request-method'] = 'GET';
        headers['access-control-request-headers'] = 'authorization';
      }
      const sent = typeof recorded.body === 'string' ? { raw: recorded.body } : { body: recorded.body };
      const answer = await server.rest(method, path, { as: callers[step.name]?.[index], headers, ...sent });
      const header = (name) => answer.headers.get(name);
      const allowed = header('access-control-allow-methods');
      const actual = {
        status: answer.status,
        json: answer.body,
        cors: {
          acao: header('access-control-allow-origin'),
          acac: header('access-control-allow-credentials'),
          acam: method === 'OPTIONS' ? allowed?.replaceAll(', ', ',') : null,
          acah: method === 'OPTIONS' ? header('access-control-allow-headers') : null,
        },
      };
      check(`rest ${index}`, { status: recorded.status, json: recorded.json, cors: recorded.cors }, actual);
    }
  }

  /** Emits the recorded events, and waits for the effects of each before the next one. */
  async function replayEvents(step) {
    const shown = [...(tokens[step.name] ?? [])];
    let ack;
    for (const { from, ev } of step.events.filter((event) => event.from)) {
      const [name, ...args] = JSON.parse(JSON.stringify(ev), (_, value) => {
        if (value === '<JWT>') {
          const next = shown.shift();
          return typeof next === 'string' ? next : server.token(next);
        }
        return value === 'x * 1200000' ? 'x'.repeat(1_200_000) : value;
      });
      if (step.name.includes('ack callback')) ack = await clients[from].ask(name, ...args);
      else if (name === 'send-message') await sent(clients[from], args);
      else clients[from].emit(name, ...args);
      await settle();
    }
    if (step.name === 'ann closes tab 2 (tab1 still open)') {
      clients['ann-tab2'].close();
      // If it had been the last connection, the grace period would be over by then.
      await pause(600);
    }
    return ack;
  }

  /** A message is acknowledged when it is stored; the round trip of `settle` does not wait for that. */
  async function sent(client, args) {
    const seen = client.events.length;
    client.emit('send-message', ...args);
    await eventually(() => client.events.slice(seen).some(({ name }) => ['message-sent', 'error'].includes(name)));
  }

  for (const step of steps) {
    await t.test(step.name, async () => {
      await before[step.name]?.();
      for (const client of Object.values(clients)) client.countBefore = client.events.length;
      const open = [...(differences[step.name] ?? [])];
      const differ = (where, recorded, actual) => {
        for (const [path, [was, is]] of compare(recorded, actual)) {
          const place = `${where}${path}`;
          const index = open.findIndex((entry) => entry.kind === 'differs' && entry.where === place);
          assert.notEqual(index, -1, `${place} was ${JSON.stringify(was)} and is ${JSON.stringify(is)}, without a reason`);
          const [{ expected, why }] = open.splice(index, 1);
          if (typeof expected === 'function') assert.ok(expected(is), `${place} is ${JSON.stringify(is)}; ${why}`);
          else assert.deepEqual(is, expected, `${place}; ${why}`);
        }
      };

      const planned = step.events.filter((event) => event.to);
      if (Array.isArray(step.rest)) await replayRequests(step, differ);
      const ack = await replayEvents(step);
      if (step.name.includes('ack callback')) differ('ack', undefined, ack);
      // Expected events may take a moment; unexpected ones are checked after they have arrived.
      const due = (to) => planned.filter((event) => event.to === to).length
        + open.filter((entry) => entry.kind === 'extra' && entry.to === to).length
        - open.filter((entry) => entry.kind === 'missing' && entry.to === to).length;
      const hasReceived = ([to, client]) => client.events.length - client.countBefore >= due(to);
      // If an event does not arrive, the comparison reports it.
      await eventually(() => Object.entries(clients).every(hasReceived)).catch(() => {});
      await settle();

      for (const [name, client] of Object.entries(clients)) {
        const recorded = planned.filter(({ to }) => to === name).map(({ ev: [event, payload] }) => ({ event, payload }));
        const actual = client.events.slice(client.countBefore).map((event) => ({ event: event.name, payload: event.args[0] }));
        assertReceived(name, recorded, actual, open, differ);
      }
      const stale = open.map(({ kind, to, event, where, why }) => `${kind} ${where ?? `${to}: ${event}`} (${why})`);
      assert.deepEqual(stale, [], 'named differences that are none');
      await after[step.name]?.();
    });
  }

  assert.ok(server.isRunning, 'the last step of the recording killed the original');
  assert.equal((await server.get('/health')).status, 200);
  const alive = await server.signIn(ann, { name: 'ann, after all' });
  assert.ok((await alive.send(admin, 'still there?'))._id);
});

/** Asserts that a client received what was recorded, in the same order, except for the listed differences. */
function assertReceived(name, recorded, actual, open, differ) {
  const take = (kind, { event, payload }) => {
    const matches = (entry) => entry.kind === kind && entry.to === name && entry.event === event
      && (entry.payload === undefined || compare(entry.payload, payload).size === 0);
    const index = open.findIndex(matches);
    return index !== -1 && open.splice(index, 1).length === 1;
  };
  const show = ({ event, payload }) => `${event} ${JSON.stringify(payload)?.slice(0, 300)}`;
  const expected = recorded.filter((entry) => !take('missing', entry));
  const rest = [...actual];
  for (const entry of expected) {
    // Events before it must be additional ones.
    while (rest.length > 0 && !isLike(entry, rest[0]) && take('extra', rest[0])) rest.shift();
    const next = rest.shift();
    assert.ok(next, `${name} did not receive ${show(entry)}`);
    assert.equal(next.event, entry.event, `${name} received ${show(next)} instead of ${show(entry)}`);
    differ(`to ${name}: ${entry.event}`, entry.payload, next.payload);
  }
  for (const entry of rest) assert.ok(take('extra', entry), `${name} also received ${show(entry)}`);
}

const isLike = (recorded, actual) =>
  recorded.event === actual.event && (recorded.event === 'error' || compare(recorded.payload, actual.payload).size === 0);
