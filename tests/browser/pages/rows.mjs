// Renders a list like frontends with keyed rows: the element of a row stays the same as long as the row is in the list.
// A browser drops a click if its element is replaced while the button is down.

/** The rows of each list by key. */
const drawn = new WeakMap();

/**
 * Shows these items in `parent`, in this order.
 *
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {{key: (item: T) => unknown, make: () => HTMLElement, update: (row: HTMLElement, item: T) => void}} how
 */
export function drawRows(parent, items, { key, make, update }) {
  const before = drawn.get(parent) ?? new Map();
  const now = new Map();
  for (const item of items) {
    const row = before.get(key(item)) ?? make();
    update(row, item);
    now.set(key(item), row);
  }
  drawn.set(parent, now);
  for (const [id, row] of before) if (!now.has(id)) row.remove();
  [...now.values()].forEach((row, place) => {
    if (parent.children[place] !== row) parent.insertBefore(row, parent.children[place] ?? null);
  });
}
