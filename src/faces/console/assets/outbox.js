// Messages that are not stored yet. Each has a client id, so that a retry never duplicates it.

/** Delay before an unacknowledged message is sent again, in milliseconds. */
const RETRY_DELAY = 2_000;

/** Error codes after which a message is sent again without asking the agent. */
const RETRIED = ['no_answer', 'shutting_down', 'rate_limited'];

export class Outbox {
  /** Called after each change. */
  changed = () => {};
  /** In the order of writing: `{clientMessageId, userId, text, at, problem, canRetry, messageId}`. */
  #items = [];
  #link;

  constructor(link) {
    this.#link = link;
  }

  /** The messages to a person. */
  to(userId) {
    return this.#items.filter((item) => item.userId === userId);
  }

  /** Whether closing the page now would lose a message. */
  get isWaiting() {
    return this.#items.some(({ messageId }) => !messageId);
  }

  add(userId, text) {
    const item = { clientMessageId: randomId(), userId, text, at: new Date().toISOString() };
    this.#items.push(item);
    this.changed();
    this.#send(item);
  }

  retry(item) {
    item.problem = null;
    this.changed();
    this.#send(item);
  }

  /** Removes a message that is in the conversation, or was discarded. */
  drop(item) {
    this.#items = this.#items.filter((other) => other !== item);
    this.changed();
  }

  /** Sends everything again after a reconnect, since messages in flight may be lost. */
  flush() {
    for (const item of this.#items) if (!item.problem && !item.messageId) this.#send(item);
  }

  async #send(item) {
    const { clientMessageId, userId: receiverId, text: message } = item;
    const attempt = (item.attempt = (item.attempt ?? 0) + 1);
    if (!this.#link.isUp) return;
    const answer = await this.#link.ask('send-message', { receiverId, message, clientMessageId });
    // A later attempt has an acknowledgement of its own.
    if (item.attempt !== attempt || item.messageId) return;
    if (answer.ok) {
      item.messageId = answer.messageId;
    } else if (RETRIED.includes(answer.code)) {
      setTimeout(() => item.attempt === attempt && this.#send(item), answer.retryAfterMs ?? RETRY_DELAY);
      return;
    } else {
      item.problem = answer.error ?? answer.message;
      item.canRetry = answer.retryable;
    }
    this.changed();
  }
}

/** A random id. `crypto.randomUUID` exists only on pages from HTTPS or localhost. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
