// Links to attachments are good for an hour, and a page may be open for longer: whoever is logged in gets a fresh one.

import { isAttachment } from './dom.js';

/** Fetches an attachment that is clicked on with the agent's token, by which the server renews a link that has expired. */
export function renewLinks(token, signal) {
  const follow = async (event) => {
    const link = event.target.closest?.('a[href]');
    if (!link || event.defaultPrevented || !isAttachment(link.href)) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { authorization: `Bearer ${token}` }, signal });
      // The browser itself fetches the file: here only the address was wanted.
      answer.body?.cancel();
      if (answer.ok) link.href = answer.url;
    } catch {
      // Without an answer the old address is as good as any.
    }
    if (!signal.aborted) window.open(link.href, '_blank', 'noopener');
  };
  document.addEventListener('click', follow, { signal });
}
