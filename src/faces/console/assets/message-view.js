// One message on the screen.

import { arrange, el, fullTimeOf, linked, setText, timeOf } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';

const LABELS = { sending: 'Sending…', stored: 'Stored', sent: 'Sent', delivered: 'Delivered', read: 'Read' };

/** Icons: a clock, a ring, one tick, two ticks; two coloured ticks mean read. */
const SHAPES = {
  sending: 'M8 4v4l2.5 1.5M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2',
  stored: 'M8 4.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 0 0 0-7',
  sent: 'M4 8.5l3 3L13 5',
  delivered: 'M1 8.5l3 3L10 5M8 11.5L14.5 5',
  read: 'M1 8.5l3 3L10 5M8 11.5L14.5 5',
};

export class MessageView {
  node;
  #text = el('p', { class: 'text', dir: 'auto' });
  #time = el('time');
  #edited = el('span', { class: 'edited' }, 'edited');
  #tick = el('span', { class: 'tick', role: 'img' });
  #word = el('span', { class: 'word', 'aria-hidden': 'true' });
  #meta = el('div', { class: 'meta' });
  #problem = el('div', { class: 'problem', role: 'alert' });
  #bubble = el('div', { class: 'bubble' });
  #menu;
  #shown;
  #status;

  /** @param {{edit, remove, retry, rewrite}} actions each called with the message or the item of the outbox */
  constructor(message, actions) {
    const { fromDesk, isOwn, author } = message;
    const name = el('span', { class: isOwn ? 'visually-hidden' : 'author' }, isOwn ? 'You' : author);
    this.node = el('article', { class: `message ${fromDesk ? 'ours' : 'theirs'}` }, name, this.#bubble);
    this.actions = actions;
  }

  /**
   * @param message of a thread, or `{text, problem, canRetry}` of the outbox
   * @param {{status, isNewest, startsGroup}} more
   */
  update(message, { status, isNewest, startsGroup }) {
    this.message = message;
    const { at, text, editedAt, deletedAt, fromDesk, problem } = message;
    this.#time.dateTime = at;
    this.#time.title = fullTimeOf(at);
    setText(this.#time, timeOf(at));
    this.node.classList.toggle('deleted', Boolean(deletedAt));
    this.node.classList.toggle('follows', !startsGroup);
    this.node.dataset.status = problem ? 'refused' : (status ?? '');
    const shown = deletedAt ? null : text;
    if (this.#shown !== shown) {
      this.#text.replaceChildren(...(shown === null ? ['This message was deleted'] : linked(shown)));
      this.#shown = shown;
    }
    const meta = [this.#time];
    if (editedAt && !deletedAt) meta.unshift(this.#edited);
    if (fromDesk && !deletedAt && !problem) {
      this.#showStatus(status);
      meta.push(this.#tick);
      setText(this.#word, LABELS[status]);
      if (isNewest) meta.push(this.#word);
    }
    arrange(this.#meta, meta);
    this.#showProblem(message);
    const parts = [this.#text, this.#meta];
    arrange(this.#bubble, problem ? [...parts, this.#problem] : parts);
    this.#showMenu(message);
  }

  /** Adds the menu to a message that can be edited: one that is stored and the agent's own. */
  #showMenu({ id, isOwn, deletedAt }) {
    if (!id || !isOwn) return;
    if (deletedAt) return this.#menu?.remove();
    if (this.#menu) return;
    this.#menu = menu({ Edit: () => this.actions.edit(this.message), Delete: () => this.actions.remove(this.message) });
    this.node.append(this.#menu);
  }

  #showStatus(status) {
    if (this.#status === status) return;
    this.#status = status;
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', SHAPES[status]);
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', '0 0 16 16');
    svg.setAttribute('aria-hidden', 'true');
    svg.append(path);
    this.#tick.replaceChildren(svg);
    this.#tick.dataset.status = status;
    this.#tick.title = LABELS[status];
    this.#tick.setAttribute('aria-label', LABELS[status]);
  }

  #showProblem({ problem, canRetry }) {
    if (!problem || this.#problem.dataset.problem === problem) return;
    this.#problem.dataset.problem = problem;
    const { retry, rewrite } = this.actions;
    const buttons = [el('button', { type: 'button', onclick: () => rewrite(this.message) }, 'Edit')];
    if (canRetry) buttons.unshift(el('button', { type: 'button', onclick: () => retry(this.message) }, 'Try again'));
    this.#problem.replaceChildren(el('span', {}, `Not sent: ${problem}`), ...buttons);
  }
}

/** A menu that can be opened by mouse, touch and keyboard, and closes when it loses the focus. */
function menu(entries) {
  const close = () => details.removeAttribute('open');
  const buttons = Object.entries(entries).map(([label, chosen]) => {
    const choose = () => {
      close();
      chosen();
    };
    return el('button', { type: 'button', onclick: choose }, label);
  });
  const summary = el('summary', { 'aria-label': 'Message actions', title: 'Message actions' }, '⋯');
  const choices = el('div', { class: 'choices' }, ...buttons);
  const details = el('details', { class: 'menu' }, summary, choices);
  // The menu of the last message would open below the visible area.
  details.addEventListener('toggle', () => details.open && choices.scrollIntoView({ block: 'nearest' }));
  details.addEventListener('focusout', ({ relatedTarget }) => details.contains(relatedTarget) || close());
  details.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !details.open) return;
    event.stopPropagation();
    close();
    summary.focus();
  });
  return details;
}
