// One open conversation: its messages, and the status of the desk's own.

import { get, Refused } from './account.js';
import { Synced } from './synced.js';

/** How many messages are fetched at once. */
const PAGE = 50;
/** Delay before a failed read mark is retried, in milliseconds. */
const RETRY_DELAY = 3_000;

/** The statuses of a message, in order. */
const STEPS = ['stored', 'sent', 'delivered', 'read'];

/** The event name of each kind of entry in `resume`. */
const LIVE = {
  message: 'receive-message',
  read: 'messages-read',
  status: 'conversation-status',
  edit: 'message-edited',
  delete: 'message-deleted',
};

export class Thread extends Synced {
  hasEarlier = false;
  isLoadingEarlier = false;
  isLoaded = false;
  /** Called with the seq up to which the desk has read. */
  wasRead = () => {};
  /** By id: `{id, seq, at, text, editedAt, deletedAt, fromDesk, isOwn, author, clientMessageId, step, revisedBy}`. */
  #messages = new Map();
  /** For each status, the seq up to which the desk's messages have reached it. */
  #reached = STEPS.map(() => 0);
  /** Edits and deletions of messages that are not loaded. A page that is being fetched may not contain them. */
  #revised = new Map();
  /** The seq of the last known entry. */
  #cursor = 0;
  #readUpTo = 0;
  #link;
  #me;

  constructor(conversation, link, me) {
    super();
    this.conversationId = conversation.conversationId;
    this.userId = conversation.userId;
    this.#link = link;
    this.#me = me;
  }

  /** Oldest first. */
  get messages() {
    return [...this.#messages.values()].sort((one, other) => one.seq - other.seq);
  }

  has(messageId) {
    return this.#messages.has(messageId);
  }

  /** The status of a message. */
  statusOf({ seq, step }) {
    const reached = this.#reached.findLastIndex((upTo) => seq <= upTo);
    return STEPS[Math.max(step, reached, 0)];
  }

  /** Loads the page before the first message. Throws `Refused`. */
  async loadEarlier() {
    if (this.isLoadingEarlier) return;
    this.isLoadingEarlier = true;
    this.changed();
    try {
      this.#addPage(await this.#page(`&before=${this.messages[0].seq}`));
    } finally {
      this.isLoadingEarlier = false;
      this.changed();
    }
  }

  /** Marks all loaded messages as read. */
  async markRead() {
    const upTo = this.messages.findLast(({ fromDesk }) => !fromDesk)?.seq ?? 0;
    if (!this.isCurrent || upTo <= this.#readUpTo) return;
    const before = this.#readUpTo;
    this.#readUpTo = upTo;
    const { conversationId } = this;
    const answer = await this.#link.ask('mark-read', { conversationId, seq: upTo });
    if (answer.ok) return this.wasRead(upTo);
    this.#readUpTo = before;
    if (answer.retryable) setTimeout(() => this.changed(), RETRY_DELAY);
  }

  async fetch(isOver) {
    if (this.isLoaded) return this.#missed(isOver);
    // Fetching the history marks it as read, so it is not fetched before somebody can see it.
    await visible();
    return { page: await this.#page() };
  }

  accept({ page, entries = [] }) {
    if (page) {
      this.#messages.clear();
      this.#revised.clear();
      this.#addPage(page);
      this.#readUpTo = this.#cursor;
      this.isLoaded = true;
    }
    for (const { seq, kind, entry } of entries) this.apply(LIVE[kind], { ...entry, seq });
  }

  apply(name, payload) {
    if (payload?.conversationId !== this.conversationId) return false;
    if (payload.seq) this.#cursor = Math.max(this.#cursor, payload.seq);
    const { messageId, upTo } = payload;
    switch (name) {
      case 'receive-message':
      case 'message-sent':
        return this.#add(payload);
      case 'message-edited':
        // Without a text, the message was deleted later.
        return this.#revise(messageId, payload.seq, payload.message && { text: payload.message, editedAt: payload.editedAt });
      case 'message-deleted':
        return this.#revise(messageId, payload.seq, { text: null, deletedAt: payload.deletedAt });
      case 'message-status':
        return this.#reach(STEPS.indexOf(payload.status), upTo);
      case 'messages-read':
        return payload.readBy !== this.#me.id && this.#reach(STEPS.indexOf('read'), upTo);
      default:
        return false;
    }
  }

  #page(more = '') {
    return get(`/api/chat/messages/${this.userId}?limit=${PAGE}${more}`);
  }

  /** Fetches the entries after the last known one. */
  async #missed(isOver) {
    const entries = [];
    for (let after = this.#cursor; ; after = entries.at(-1).seq) {
      const answer = await this.#link.ask('resume', { conversations: { [this.conversationId]: after } });
      if (!answer.ok) throw new Refused(answer.message);
      const part = answer.conversations[this.conversationId];
      // The server has fewer entries than this page, because an older backup was restored.
      if (part.code) return { page: await this.#page() };
      entries.push(...part.entries);
      if (!part.hasMore || isOver()) return { entries };
    }
  }

  #addPage(page) {
    // The page has the current state of its messages, at least up to its end.
    const end = page.at(-1)?.seq ?? 0;
    for (const message of page) this.#add(message, end);
    this.hasEarlier = page.length === PAGE;
    this.#cursor = Math.max(this.#cursor, end);
  }

  #add({ _id: id, seq, sender, message, createdAt, editedAt, deletedAt, clientMessageId, status }, revisedBy = 0) {
    if (this.#messages.has(id)) return false;
    const fromDesk = sender._id === this.#me.id;
    // To an agent, the whole desk has one id. The e-mail address says who wrote.
    const isOwn = fromDesk && sender.email.toLowerCase() === this.#me.email;
    const revised = this.#revised.get(id);
    this.#revised.delete(id);
    this.#messages.set(id, {
      id, seq, at: createdAt, text: message ?? null, editedAt, deletedAt, fromDesk, isOwn,
      author: sender.name, clientMessageId, step: STEPS.indexOf(status ?? 'stored'), revisedBy, ...revised,
    });
  }

  /** An event during a fetch may be older than the fetched state. */
  #revise(id, revisedBy, change) {
    if (!change) return false;
    const message = this.#messages.get(id);
    if (revisedBy < ((message ?? this.#revised.get(id))?.revisedBy ?? 0)) return false;
    if (message) return void Object.assign(message, { ...change, revisedBy });
    this.#revised.set(id, { ...this.#revised.get(id), ...change, revisedBy });
    return false;
  }

  #reach(step, upTo) {
    if (step < 0 || upTo <= this.#reached[step]) return false;
    this.#reached[step] = upTo;
  }
}

function visible() {
  if (document.visibilityState === 'visible') return Promise.resolve();
  return new Promise((done) => document.addEventListener('visibilitychange', done, { once: true }));
}
