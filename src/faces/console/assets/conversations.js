// The list of conversations: person, last message and unread count.

import { get } from './account.js';
import { Synced } from './synced.js';

/** How long changes are collected before the list is fetched again, in milliseconds. */
const COLLECT_FOR = 200;

export class Conversations extends Synced {
  /** By its id: `{conversationId, userId, name, email, lastMessage, lastMessageTime, unreadCount, lastSeq, newest, status}`. */
  #all = new Map();
  /** Ids of people who are online. */
  #online = new Set();
  /** Ids of people who are typing. */
  #typing = new Set();
  #me;
  #refetch;

  constructor(me) {
    super();
    this.#me = me;
  }

  /** Newest message first. */
  get sorted() {
    return [...this.#all.values()].sort((one, other) => other.lastMessageTime.localeCompare(one.lastMessageTime));
  }

  get unread() {
    return [...this.#all.values()].reduce((sum, { unreadCount }) => sum + unreadCount, 0);
  }

  with(userId) {
    return [...this.#all.values()].find((conversation) => conversation.userId === userId);
  }

  isOnline(userId) {
    return this.#online.has(userId);
  }

  isTyping(userId) {
    return this.#typing.has(userId);
  }

  halt() {
    clearTimeout(this.#refetch);
    super.halt();
  }

  /** The connection is lost, so presence is unknown. The server sends it after each `authenticate`. */
  forgetPresence() {
    this.#online.clear();
    this.#typing.clear();
    this.changed();
  }

  fetch() {
    return get('/api/chat/conversations');
  }

  accept(rows) {
    // The list does not contain the seq of the last message, which is at most that of the last entry.
    this.#all = new Map(rows.map((row) => [row.conversationId, { ...row, newest: row.lastSeq }]));
  }

  /** Presence is not part of the fetched list, and is applied at once. */
  handle(name, payload) {
    const set = { 'user-online': this.#online, 'user-typing': this.#typing }[name];
    if (set) {
      set.add(payload.userId);
    } else if (name === 'user-offline') {
      this.#online.delete(payload.userId);
      this.#typing.delete(payload.userId);
    } else if (name === 'user-stop-typing') {
      this.#typing.delete(payload.userId);
    } else {
      return super.handle(name, payload);
    }
    this.changed();
  }

  apply(name, payload) {
    const known = this.#all.get(payload?.conversationId);
    if (known && payload.seq <= known.lastSeq) return false;
    const isMessage = name === 'receive-message' || name === 'message-sent';
    if (isMessage) return this.#addMessage(payload, known ?? this.#begin(payload));
    if (!known || !payload.seq) return false;
    known.lastSeq = payload.seq;
    if (name === 'messages-read' && payload.readBy === this.#me.id) this.#applyRead(known, payload.upTo);
    if (name === 'conversation-status') known.status = payload.status;
    // It may have been the last message, or an unread one.
    if (name === 'message-edited' || name === 'message-deleted') this.#refetchSoon();
  }

  /** The desk has read up to a seq. Called by this page, which gets no event about its own read marks. */
  markRead(conversationId, upTo) {
    const known = this.#all.get(conversationId);
    if (known?.unreadCount) this.#applyRead(known, upTo);
    this.changed();
  }

  #addMessage(message, conversation) {
    const fromDesk = message.sender._id === this.#me.id;
    Object.assign(conversation, { lastMessage: message.message, lastMessageTime: message.createdAt });
    conversation.lastSeq = conversation.newest = message.seq;
    if (fromDesk) return;
    conversation.unreadCount++;
    this.#typing.delete(conversation.userId);
    // A message reopens a closed conversation.
    if (conversation.status === 'closed') this.#refetchSoon();
  }

  #begin({ conversationId, sender, receiver }) {
    const { _id: userId, name, email } = sender._id === this.#me.id ? receiver : sender;
    const conversation = { conversationId, userId, name, email, unreadCount: 0, lastSeq: 0, newest: 0, status: 'waiting' };
    this.#all.set(conversationId, conversation);
    return conversation;
  }

  #applyRead(conversation, upTo) {
    if (upTo >= conversation.newest) conversation.unreadCount = 0;
    // Only the server can count the rest.
    else if (conversation.unreadCount) this.#refetchSoon();
  }

  #refetchSoon() {
    clearTimeout(this.#refetch);
    this.#refetch = setTimeout(() => this.sync(), COLLECT_FOR);
  }
}
