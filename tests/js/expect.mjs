// What payloads must be like.

import assert from 'node:assert/strict';

import { DEADLINE } from './client.mjs';

/** 24 hex digits. */
export const ID = /^[0-9a-f]{24}$/;

/** ISO 8601 with milliseconds and a Z. */
export const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** How a person is shown to others. */
export const shown = ({ id, name, email }) => ({ _id: id, name, email });

/** A message as sockets get it: exactly these keys, with what we add to those of the contract. */
export function assertMessage(payload, { from, to, message, read = false }) {
  const { _id, createdAt, seq, conversationId, clientMessageId, ...rest } = payload;
  assert.deepEqual(rest, { sender: shown(from), receiver: shown(to), message, read });
  assert.match(_id, ID);
  assert.match(conversationId, ID);
  assert.match(createdAt, STAMP);
  assert.ok(Number.isInteger(seq) && seq > 0, `seq ${seq}`);
  if (clientMessageId !== undefined) assert.equal(typeof clientMessageId, 'string');
}

/** How far a message can have come. */
const STATUSES = ['stored', 'sent', 'delivered', 'read'];

/** A message as `resume` has it. */
export function assertResumed({ status, ...payload }, expected) {
  assert.ok(STATUSES.includes(status), status);
  assertMessage(payload, expected);
}

/** A message as the history has it. */
export function assertKept(kept, { updatedAt = kept.updatedAt, __v = 0, ...expected }) {
  assert.match(kept.updatedAt, STAMP);
  assert.equal(kept.updatedAt, updatedAt);
  assert.equal(kept.__v, __v);
  const { updatedAt: _, __v: __, ...rest } = kept;
  assertResumed(rest, expected);
}

/** Strictly rising. */
export function assertRising(numbers) {
  numbers.slice(1).forEach((number, index) => assert.ok(number > numbers[index], `not rising: ${numbers}`));
}

/** Waits until `look` gives something true: for what only a request can tell. */
export async function eventually(look, deadline = DEADLINE) {
  const end = Date.now() + deadline;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, 'it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
