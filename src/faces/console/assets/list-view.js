// The list of conversations on the screen.

import { arrange, briefly, byId, el, fullTimeOf, setText } from './dom.js';

export class ListView {
  #list = byId('conversations');
  #rows = new Map();
  #conversations;

  constructor(conversations) {
    this.#conversations = conversations;
    this.listening = new AbortController();
    this.#list.addEventListener('keydown', (event) => this.#walk(event), { signal: this.listening.signal });
  }

  close() {
    this.listening.abort();
    this.#list.replaceChildren();
    byId('no-conversations').hidden = true;
    document.title = 'Deskline';
  }

  /** @param {string | undefined} openId the person whose conversation is open */
  render(openId) {
    const { sorted, unread, isCurrent } = this.#conversations;
    const rows = new Map();
    for (const conversation of sorted) {
      const row = this.#rows.get(conversation.conversationId) ?? new Row(conversation);
      const { userId } = conversation;
      const isTyping = this.#conversations.isTyping(userId);
      row.update(conversation, { isOpen: userId === openId, isOnline: this.#conversations.isOnline(userId), isTyping });
      rows.set(conversation.conversationId, row);
    }
    this.#rows = rows;
    arrange(this.#list, [...rows.values()].map(({ node }) => node));
    byId('no-conversations').hidden = rows.size > 0 || !isCurrent;
    const title = unread ? `(${unread}) Deskline` : 'Deskline';
    if (document.title !== title) document.title = title;
  }

  /** Moves between conversations with the arrow keys. */
  #walk(event) {
    const links = [...this.#list.querySelectorAll('a')];
    const here = links.indexOf(document.activeElement);
    const place = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 }[event.key];
    if (here < 0 || !links[place]) return;
    event.preventDefault();
    links[place].focus();
  }
}

class Row {
  #name = el('span', { class: 'name' });
  #time = el('time');
  #last = el('span', { class: 'last' });
  #badge = el('span', { class: 'badge' });
  #online = el('span', { class: 'online', role: 'img', 'aria-label': 'online', title: 'online' });
  #closed = el('span', { class: 'closed' }, 'closed');
  #avatar = el('span', { class: 'avatar', 'aria-hidden': 'true' });
  #link;

  constructor({ userId }) {
    const top = el('span', { class: 'line' }, this.#name, this.#online, this.#closed, this.#time);
    const bottom = el('span', { class: 'line' }, this.#last, this.#badge);
    this.#link = el('a', { href: `#${userId}` }, this.#avatar, el('span', { class: 'lines' }, top, bottom));
    this.node = el('li', {}, this.#link);
  }

  update(conversation, { isOpen, isOnline, isTyping }) {
    const { name, email, lastMessage, lastMessageTime, unreadCount, status } = conversation;
    setText(this.#name, name || email || 'Visitor');
    setText(this.#avatar, initialsOf(name || email));
    setText(this.#time, briefly(lastMessageTime));
    this.#time.dateTime = lastMessageTime;
    this.#time.title = fullTimeOf(lastMessageTime);
    setText(this.#last, isTyping ? 'is typing…' : lastMessage);
    this.#last.classList.toggle('typing', isTyping);
    setText(this.#badge, unreadCount > 99 ? '99+' : String(unreadCount));
    this.#badge.setAttribute('aria-label', `${unreadCount} unread`);
    this.#badge.setAttribute('role', 'img');
    this.#badge.hidden = unreadCount === 0;
    this.#online.hidden = !isOnline;
    this.#closed.hidden = status !== 'closed';
    this.#link.classList.toggle('unread', unreadCount > 0);
    if (isOpen) this.#link.setAttribute('aria-current', 'true');
    else this.#link.removeAttribute('aria-current');
  }
}

function initialsOf(name = '') {
  const words = name.trim().split(/[\s@.]+/u).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  return words.slice(0, 2).map((word) => [...word][0].toUpperCase()).join('') || '?';
}
