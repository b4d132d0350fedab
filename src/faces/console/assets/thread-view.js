// The open conversation on the screen: its messages by day, and scrolling at both ends.

import { arrange, byId, dayOf, el, setText } from './dom.js';
import { MessageView } from './message-view.js';

/** Distance to the end that counts as the end, in pixels. */
const NEAR = 40;
/** Consecutive messages of one person form a group within this time, in milliseconds. */
const GROUP_WITHIN = 5 * 60_000;

export class ThreadView {
  #log = byId('log');
  #items = byId('messages');
  #earlier = byId('earlier');
  #toEnd = byId('to-end');
  #views = new Map();
  #days = new Map();
  #thread = null;
  #outbox;
  #actions;
  #isAtEnd = true;
  #oldest = 0;
  #newestSeen = 0;
  #resized = new ResizeObserver(() => this.#keepToEnd());

  constructor(outbox, actions) {
    this.#outbox = outbox;
    this.#actions = actions;
    this.listening = new AbortController();
    const { signal } = this.listening;
    this.#log.addEventListener('scroll', () => this.#scrolled(), { signal, passive: true });
    this.#earlier.addEventListener('click', () => this.#loadEarlier(), { signal });
    this.#toEnd.addEventListener('click', () => this.toEnd(), { signal });
    // Messages that another window has covered may be visible now.
    window.addEventListener('focus', () => this.#seen(), { signal });
    document.addEventListener('visibilitychange', () => this.#seen(), { signal });
    // An opening keyboard, or a long draft, must not cover the newest message.
    this.#resized.observe(this.#log);
  }

  close() {
    this.listening.abort();
    this.#resized.disconnect();
    this.show(null);
  }

  /** Shows another conversation, or none. */
  show(thread) {
    this.#thread = thread;
    this.#views.clear();
    this.#days.clear();
    this.#items.replaceChildren();
    this.#isAtEnd = true;
    this.#oldest = 0;
    this.#newestSeen = 0;
    if (thread) this.render();
  }

  render() {
    const thread = this.#thread;
    if (!thread) return;
    this.#log.setAttribute('aria-busy', String(!thread.isLoaded || thread.isLoadingEarlier));
    this.#earlier.hidden = !thread.hasEarlier;
    this.#earlier.disabled = thread.isLoadingEarlier;
    if (thread.isLoadingEarlier) setText(this.#earlier, 'Loading…');
    else if (this.#earlier.textContent === 'Loading…') setText(this.#earlier, 'Earlier messages');
    const messages = thread.messages;
    const nodes = this.#rows(messages, this.#waiting(thread, messages));
    // Messages that are loaded above must not move the visible ones.
    const fromEnd = this.#log.scrollHeight - this.#log.scrollTop;
    arrange(this.#items, nodes);
    byId('no-messages').hidden = !thread.isLoaded || nodes.length > 0;
    const [oldest, newest] = [messages[0]?.seq, messages.at(-1)];
    if (!this.#isAtEnd && oldest < this.#oldest) this.#log.scrollTop = this.#log.scrollHeight - fromEnd;
    this.#oldest = oldest;
    if (newest && this.#newestSeen && newest.seq > this.#newestSeen && !newest.fromDesk) this.#toEnd.hidden = this.#isAtEnd;
    if (newest) this.#newestSeen = newest.seq;
    this.#keepToEnd();
  }

  /** Scrolls to the end, where a new message appears. */
  toEnd() {
    this.#isAtEnd = true;
    this.#keepToEnd();
  }

  /** The messages of the outbox that are not in the conversation yet. */
  #waiting(thread, messages) {
    const ids = new Set(messages.map(({ clientMessageId }) => clientMessageId));
    const arrived = (item) => ids.has(item.clientMessageId) || thread.has(item.messageId);
    const items = this.#outbox.to(thread.userId);
    for (const item of items.filter(arrived)) this.#outbox.drop(item);
    return items.filter((item) => !arrived(item));
  }

  #rows(messages, waiting) {
    const newestOwn = waiting.length ? null : messages.findLast(({ fromDesk, deletedAt }) => fromDesk && !deletedAt);
    const rows = messages.map((message) => ({
      key: message.clientMessageId ?? message.id, message, by: `${message.fromDesk}${message.author}`,
      status: message.fromDesk ? this.#thread.statusOf(message) : undefined, isNewest: message === newestOwn,
    }));
    for (const item of waiting) {
      Object.assign(item, { fromDesk: true, isOwn: true });
      // The key that it will have in the conversation, so that the element stays the same.
      rows.push({ key: item.clientMessageId, message: item, by: 'outbox', status: 'sending', isNewest: true });
    }
    const nodes = [];
    const views = new Map();
    let before = null;
    for (const row of rows) {
      const day = dayOf(row.message.at);
      if (!before || before.day !== day) nodes.push(this.#day(day, row.key));
      const gap = before ? new Date(row.message.at) - new Date(before.message.at) : Infinity;
      const startsGroup = before?.by !== row.by || before.day !== day || gap > GROUP_WITHIN;
      const view = this.#views.get(row.key) ?? new MessageView(row.message, this.#actions);
      view.update(row.message, { ...row, startsGroup });
      views.set(row.key, view);
      nodes.push(view.node);
      before = { ...row, day };
    }
    this.#views = views;
    return nodes;
  }

  /** The heading above a day's first message. In an imported log, a day may occur twice. */
  #day(label, first) {
    const key = `${label} ${first}`;
    if (!this.#days.has(key)) this.#days.set(key, el('h3', { class: 'day' }, el('span', {}, label)));
    return this.#days.get(key);
  }

  async #loadEarlier() {
    try {
      await this.#thread.loadEarlier();
    } catch {
      setText(this.#earlier, 'Could not load. Try again');
    }
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR;
    this.#seen();
  }

  #keepToEnd() {
    if (this.#isAtEnd) this.#log.scrollTop = this.#log.scrollHeight;
    this.#seen();
  }

  /** Marks the visible messages as read. */
  #seen() {
    if (!this.#isAtEnd) return;
    this.#toEnd.hidden = true;
    const isWatched = document.visibilityState === 'visible' && document.hasFocus();
    if (isWatched && this.#thread?.isLoaded) this.#thread.markRead();
  }
}
