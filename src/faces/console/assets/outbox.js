// What was written and is not kept yet. Each message has an id of its own, so that sending it again never doubles it.

/** How long to wait before sending again what nobody answered, in milliseconds. */
const AGAIN = 2_000;

/** After these, sending again is a matter of waiting, and nobody needs to be asked. */
const WAITS = ['no_answer', 'shutting_down', 'rate_limited'];

export class Outbox {
  /** Called after each change. */
  changed = () => {};
  /** In the order in which they were written: `{clientMessageId, userId, text, at, problem, canRetry, messageId}`. */
  #items = [];
  #link;

  constructor(link) {
    this.#link = link;
  }

  /** What waits for this person. */
  to(userId) {
    return this.#items.filter((item) => item.userId === userId);
  }

  /** Whether something would be lost if the page were closed now. */
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

  /** It stands in the conversation, or is not wanted any more. */
  drop(item) {
    this.#items = this.#items.filter((other) => other !== item);
    this.changed();
  }

  /** The connection is back: whatever was on its way may not have arrived. */
  flush() {
    for (const item of this.#items) if (!item.problem && !item.messageId) this.#send(item);
  }

  async #send(item) {
    const { clientMessageId, userId: receiverId, text: message } = item;
    const attempt = (item.attempt = (item.attempt ?? 0) + 1);
    if (!this.#link.isUp) return;
    const answer = await this.#link.ask('send-message', { receiverId, message, clientMessageId });
    // A later attempt has its own answer.
    if (item.attempt !== attempt || item.messageId) return;
    if (answer.ok) {
      item.messageId = answer.messageId;
    } else if (WAITS.includes(answer.code)) {
      setTimeout(() => item.attempt === attempt && this.#send(item), answer.retryAfterMs ?? AGAIN);
      return;
    } else {
      item.problem = answer.error ?? answer.message;
      item.canRetry = answer.retryable;
    }
    this.changed();
  }
}

/** `crypto.randomUUID` is there only where the page came by TLS or from this machine. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
