// The input for new messages and for edits.

import { byId, setText, withoutAttachment } from './dom.js';

/** How often `typing` is repeated, in milliseconds. Clients show it for six seconds. */
const RENEW = 3_000;

export class Composer {
  #form = byId('composer');
  #box = byId('text');
  #problem = byId('composer-problem');
  #banner = byId('editing');
  #drafts = new Map();
  #userId;
  #editing;
  #typingSentAt = 0;
  #on;

  /** @param {{send, edit, typing, stopTyping}} on actions */
  constructor(on) {
    this.#on = on;
    this.listening = new AbortController();
    const { signal } = this.listening;
    this.#form.addEventListener('submit', (event) => this.#submit(event), { signal });
    this.#box.addEventListener('keydown', (event) => this.#key(event), { signal });
    this.#box.addEventListener('input', () => this.#written(), { signal });
    this.#box.addEventListener('blur', () => this.#stopTyping(), { signal });
    byId('stop-editing').addEventListener('click', () => this.stopEditing(), { signal });
  }

  close() {
    this.open(undefined);
    this.listening.abort();
  }

  /** Switches to another person. Each person has a draft of their own. */
  open(userId) {
    this.#stopTyping();
    if (this.#userId && !this.#editing) this.#drafts.set(this.#userId, this.#box.value);
    this.#editing = null;
    this.#userId = userId;
    this.#showEditing();
    this.#write(this.#drafts.get(userId) ?? '');
    setText(this.#problem, '');
    // On a phone, the keyboard would cover the messages.
    if (userId && !isTouch()) this.#box.focus();
  }

  /** Restores a text that could not be sent. */
  rewrite(text) {
    const begun = this.#box.value;
    this.#write(begun ? `${text}\n${begun}` : text);
    this.#box.focus();
  }

  edit(message) {
    if (!this.#editing) this.#drafts.set(this.#userId, this.#box.value);
    this.#editing = message;
    this.#showEditing();
    this.#write(withoutAttachment(message.text));
    this.#box.focus();
  }

  stopEditing() {
    if (!this.#editing) return;
    this.#editing = null;
    this.#showEditing();
    this.#write(this.#drafts.get(this.#userId) ?? '');
    this.#box.focus();
  }

  /** Ends an edit whose message was deleted. */
  forget(messageId) {
    if (this.#editing?.id === messageId) this.stopEditing();
  }

  #showEditing() {
    this.#banner.hidden = !this.#editing;
    setText(byId('send'), this.#editing ? 'Save' : 'Send');
    setText(this.#problem, '');
  }

  #write(text) {
    this.#box.value = text;
    this.#fit();
  }

  #fit() {
    this.#box.style.height = 'auto';
    this.#box.style.height = `${this.#box.scrollHeight + 2}px`;
    byId('send').disabled = this.#box.value.trim() === '';
  }

  async #submit(event) {
    event.preventDefault();
    const text = this.#box.value.trim();
    if (!text) return;
    this.#stopTyping();
    if (!this.#editing) {
      this.#write('');
      this.#drafts.delete(this.#userId);
      this.#on.send(text);
    } else {
      const message = this.#editing;
      const problem = await this.#on.edit(message, text);
      if (this.#editing !== message) return;
      if (problem) return setText(this.#problem, problem);
      this.stopEditing();
    }
    this.#box.focus();
  }

  #key(event) {
    if (event.key === 'Escape' && this.#editing) {
      event.stopPropagation();
      this.stopEditing();
    }
    // On a phone, Enter is the only way to a new line. In an input method, it ends a word.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || isTouch()) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #written() {
    this.#fit();
    if (this.#editing) return;
    if (this.#box.value.trim() === '') return this.#stopTyping();
    if (Date.now() - this.#typingSentAt < RENEW) return;
    this.#typingSentAt = Date.now();
    this.#on.typing(this.#userId);
  }

  #stopTyping() {
    if (!this.#typingSentAt) return;
    this.#typingSentAt = 0;
    this.#on.stopTyping(this.#userId);
  }
}

const isTouch = () => window.matchMedia('(pointer: coarse)').matches;
