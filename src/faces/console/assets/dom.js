// Small helpers around the page. What a person wrote becomes text nodes here, and never markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; `onclick` and the like listen, what is false or missing is left out. */
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

/** Says this, unless it is said already: a screen reader repeats what is written again. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Puts these nodes into a parent, in this order, and leaves those alone that are in their places. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...parent.children]) if (!wanted.has(node)) node.remove();
  const focused = document.activeElement;
  nodes.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
  // An element that is moved loses the focus.
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** Addresses in a text. */
const LINK = /https?:\/\/[^\s<>"']+/g;

/** Where the server gives out attachments. The link to one is the last line of its message. */
const ATTACHMENT = /^\/media\/f-[\w-]{22}-[\w-]{22}-/;
const ATTACHED = /\nhttps?:\/\/[^\s/]+\/media\/f-[\w-]{22}-[\w-]{22}-\S+$/;

/** A text with its addresses as links: a list of strings and elements. */
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

/** Whether an address leads to an attachment of this server. */
export const isAttachment = (address) =>
  address.startsWith(`${location.origin}/`) && ATTACHMENT.test(address.slice(location.origin.length));

/** An attachment is called by its name, since its address is long; only where the server is known, as a name could mislead. */
function label(address) {
  if (!isAttachment(address)) return address;
  const name = address.slice(location.origin.length).replace(ATTACHMENT, '');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** A text without the link to its attachment, which is not its author's to change. */
export const withoutAttachment = (text) => text.replace(ATTACHED, '');

const HOUR = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: 'long' });
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const SHORT = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

/** How many midnights lie between this and now. */
function daysAgo(at) {
  const midnight = (time) => new Date(time.getFullYear(), time.getMonth(), time.getDate());
  return Math.round((midnight(new Date()) - midnight(at)) / 86_400_000);
}

/** 14:05 */
export const timeOf = (stamp) => HOUR.format(new Date(stamp));

/** The whole of it, for who wants to know exactly. */
export const fullTimeOf = (stamp) => FULL.format(new Date(stamp));

/** Today, yesterday, a weekday or a date. */
export function dayOf(stamp) {
  const at = new Date(stamp);
  const days = daysAgo(at);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return days > 1 && days < 7 ? WEEKDAY.format(at) : DATE.format(at);
}

/** As short as a list wants it: a time today, a day before. */
export function briefly(stamp) {
  const at = new Date(stamp);
  const days = daysAgo(at);
  if (days === 0) return HOUR.format(at);
  return days === 1 ? 'Yesterday' : SHORT.format(at);
}
