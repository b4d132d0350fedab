// Helpers for the page. Texts of people become text nodes, never markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Creates an element with attributes and children. `onclick` etc. add listeners; false and missing values are skipped. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Sets the text of an element, unless it is set already: a screen reader reads out every change. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes these nodes the children of a parent, in this order. Nodes that are in place are not moved. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...parent.children]) if (!wanted.has(node)) node.remove();
  const focused = document.activeElement;
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
  // Moving an element takes the focus away.
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** URLs in a text. */
const LINK = /https?:\/\/[^\s<>"']+/g;

/** Path of attachments. The link to an attachment is the last line of its message. */
const ATTACHMENT = /^\/media\/f-[\w-]{22}-[\w-]{22}-/;
const ATTACHED = /\nhttps?:\/\/[^\s/]+\/media\/f-[\w-]{22}-[\w-]{22}-\S+$/;

/** Splits a text into strings and link elements. */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const address = found.replace(/[).,;:!?\]]+$/, '');
    const link = el('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, label(address));
    parts.push(text.slice(end, index), link);
    end = index + address.length;
  }
  return [...parts, text.slice(end)];
}

/** Whether a URL is that of an attachment on this server. */
export const isAttachment = (address) =>
  address.startsWith(`${location.origin}/`) && ATTACHMENT.test(address.slice(location.origin.length));

/** The text of a link: for an attachment its name, since the URL is long. On this server only, since a name could mislead. */
function label(address) {
  if (!isAttachment(address)) return address;
  const name = address.slice(location.origin.length).replace(ATTACHMENT, '');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** A text without the link to its attachment, which authors cannot edit. */
export const withoutAttachment = (text) => text.replace(ATTACHED, '');

const HOUR = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: 'long' });
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const SHORT = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

/** Number of midnights between a time and now. */
function daysAgo(at) {
  const midnight = (time) => new Date(time.getFullYear(), time.getMonth(), time.getDate());
  return Math.round((midnight(new Date()) - midnight(at)) / 86_400_000);
}

/** 14:05 */
export const timeOf = (stamp) => HOUR.format(new Date(stamp));

/** The full date and time. */
export const fullTimeOf = (stamp) => FULL.format(new Date(stamp));

/** "Today", "Yesterday", a weekday or a date. */
export function dayOf(stamp) {
  const at = new Date(stamp);
  const days = daysAgo(at);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return days > 1 && days < 7 ? WEEKDAY.format(at) : DATE.format(at);
}

/** The short form for a list: the time if it is today, otherwise the day. */
export function briefly(stamp) {
  const at = new Date(stamp);
  const days = daysAgo(at);
  if (days === 0) return HOUR.format(at);
  return days === 1 ? 'Yesterday' : SHORT.format(at);
}
