// Shapes of payloads.

import assert from 'node:assert/strict';

import { DEADLINE } from './client.mjs';

/** 24 hex digits. */
export const ID = /^[0-9a-f]{24}$/;

/** ISO 8601 with milliseconds and a Z. */
export const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** A person, as shown to others. */
export const shown = ({ id, name, email }) => ({ _id: id, name, email });

/** A message on a socket. It has exactly these keys: those of the replaced server and our additions. */
export function assertMessage(payload, { from, to, message, read = false }) {
  const { _id, createdAt, seq, conversationId, clientMessageId, ...rest } = payload;
  assert.deepEqual(rest, { sender: shown(from), receiver: shown(to), message, read });
  assert.match(_id, ID);
  assert.match(conversationId, ID);
  assert.match(createdAt, STAMP);
  assert.ok(Number.isInteger(seq) && seq > 0, `seq ${seq}`);
  if (clientMessageId !== undefined) assert.equal(typeof clientMessageId, 'string');
}

/** Statuses of a message. */
const STATUSES = ['stored', 'sent', 'delivered', 'read'];

/** A message in `resume`. */
export function assertResumed({ status, ...payload }, expected) {
  assert.ok(STATUSES.includes(status), status);
  assertMessage(payload, expected);
}

/** A message in the history. */
export function assertStored(stored, { updatedAt = stored.updatedAt, __v = 0, ...expected }) {
  assert.match(stored.updatedAt, STAMP);
  assert.equal(stored.updatedAt, updatedAt);
  assert.equal(stored.__v, __v);
  const { updatedAt: _, __v: __, ...rest } = stored;
  assertResumed(rest, expected);
}

/** Asserts that numbers are strictly increasing. */
export function assertRising(numbers) {
  numbers.slice(1).forEach((number, index) => assert.ok(number > numbers[index], `not rising: ${numbers}`));
}

/** Waits until `look` returns something truthy. For state that only a request can read. */
export async function eventually(look, deadline = DEADLINE) {
  const end = Date.now() + deadline;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, 'it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
