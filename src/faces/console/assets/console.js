// The console of one agent: joins the connection, the data and the screen.

import { account, isAgent } from './account.js';
import { renewLinks } from './attachments.js';
import { Composer } from './composer.js';
import { Conversations } from './conversations.js';
import { byId, setText } from './dom.js';
import { Link } from './link.js';
import { ListView } from './list-view.js';
import { Outbox } from './outbox.js';
import { Thread } from './thread.js';
import { ThreadView } from './thread-view.js';

export class Console {
  #me;
  #link;
  #outbox;
  #conversations;
  #thread = null;
  #list;
  #view;
  #composer;
  #leave;
  #listening = new AbortController();

  /** @param {(message?: string) => void} leave called with the reason when the log-in is no longer valid */
  constructor(leave) {
    const { token, name, email } = account();
    this.#leave = leave;
    // The id comes with the first `authenticated`. Nothing that depends on it is shown before.
    this.#me = { id: null, name, email };
    setText(byId('me'), name);
    this.#conversations = new Conversations(this.#me);
    this.#link = new Link(token, {
      up: (who) => this.#up(who),
      down: () => this.#down(),
      ended: (message) => leave(message),
      event: (event, payload) => this.#received(event, payload),
    });
    this.#outbox = new Outbox(this.#link);
    this.#list = new ListView(this.#conversations);
    this.#view = new ThreadView(this.#outbox, {
      edit: (message) => this.#composer.edit(message),
      remove: (message) => this.#remove(message),
      retry: (item) => this.#outbox.retry(item),
      rewrite: (item) => {
        this.#outbox.drop(item);
        this.#composer.rewrite(item.text);
      },
    });
    this.#composer = new Composer({
      send: (text) => {
        this.#view.toEnd();
        this.#outbox.add(this.#thread.userId, text);
      },
      edit: (message, text) => this.#ask('edit-message', { messageId: message.id, message: text }),
      typing: (receiverId) => this.#link.emit('typing', { receiverId }),
      stopTyping: (receiverId) => this.#link.emit('stop-typing', { receiverId }),
    });
    this.#conversations.changed = () => this.#listChanged();
    this.#conversations.refused = (error) => leave(error.message);
    this.#outbox.changed = () => this.#view.render();
    const { signal } = this.#listening;
    renewLinks(token, signal);
    window.addEventListener('hashchange', () => this.#listChanged(), { signal });
    window.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape' && !byId('confirm-delete').open) location.hash = '';
    }, { signal });
    window.addEventListener('beforeunload', (event) => this.#outbox.isWaiting && event.preventDefault(), { signal });
    byId('connection').hidden = false;
    setText(byId('connection'), 'Connecting…');
  }

  close() {
    this.#link.close();
    this.#listening.abort();
    this.#conversations.halt();
    this.#thread?.halt();
    for (const part of [this.#list, this.#view, this.#composer]) part.close();
    byId('desk').dataset.open = 'list';
  }

  #up({ userId, role }) {
    if (!isAgent(role)) return this.#leave('This account is no longer an agent’s');
    this.#me.id = userId;
    byId('connection').hidden = true;
    this.#conversations.sync();
    this.#thread?.sync();
    this.#outbox.flush();
  }

  #down() {
    byId('connection').hidden = false;
    setText(byId('connection'), 'Reconnecting… Your messages will be sent when the connection is back.');
    this.#thread?.halt();
    this.#conversations.halt();
    this.#conversations.forgetPresence();
  }

  #received(event, payload) {
    const isTheirs = event === 'receive-message' && payload.sender._id !== this.#me.id;
    // This confirms arrival, whether or not somebody reads it.
    if (isTheirs) this.#link.emit('received', { conversationId: payload.conversationId, seq: payload.seq });
    if (event === 'message-deleted') this.#composer.forget(payload.messageId);
    this.#thread?.handle(event, payload);
    this.#conversations.handle(event, payload);
  }

  #listChanged() {
    this.#openAddressed();
    this.#list.render(this.#thread?.userId);
    if (!this.#thread) return;
    const { userId } = this.#thread;
    const { name, email } = this.#conversations.with(userId) ?? {};
    setText(byId('with'), name || email || 'Visitor');
    const isOnline = this.#conversations.isOnline(userId);
    // Presence is unknown without a connection.
    const presence = !this.#link.isUp ? '' : isOnline ? 'online' : 'offline';
    setText(byId('presence'), this.#conversations.isTyping(userId) ? 'is typing…' : presence);
    byId('presence').classList.toggle('is-online', isOnline);
  }

  /** Puts the open conversation into the URL, for the back button and reloads. */
  #openAddressed() {
    const wanted = this.#conversations.with(location.hash.slice(1));
    if (wanted?.userId === this.#thread?.userId) return;
    this.#thread?.halt();
    this.#thread = wanted ? new Thread(wanted, this.#link, this.#me) : null;
    byId('desk').dataset.open = wanted ? 'thread' : 'list';
    byId('thread').hidden = !wanted;
    byId('nothing-open').hidden = Boolean(wanted);
    this.#view.show(this.#thread);
    this.#composer.open(wanted?.userId);
    if (!wanted) return;
    const thread = this.#thread;
    thread.changed = () => thread === this.#thread && this.#view.render();
    thread.refused = (error) => this.#leave(error.message);
    thread.wasRead = (upTo) => this.#conversations.markRead(thread.conversationId, upTo);
    if (this.#link.isUp) thread.sync();
  }

  async #remove(message) {
    const dialog = byId('confirm-delete');
    dialog.returnValue = '';
    dialog.showModal();
    await new Promise((done) => dialog.addEventListener('close', done, { once: true }));
    if (dialog.returnValue !== 'delete') return;
    const problem = await this.#ask('delete-message', { messageId: message.id });
    if (problem) setText(byId('composer-problem'), problem);
  }

  /** Requests a change. Returns an error message for people, or nothing. */
  async #ask(event, payload) {
    const answer = await this.#link.ask(event, payload);
    return answer.ok ? undefined : (answer.error ?? answer.message);
  }
}
