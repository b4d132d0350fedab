// Renews links to attachments, which expire after an hour.

import { isAttachment } from './dom.js';

/** Requests a clicked attachment with the agent's token, so that the server renews an expired link. */
export function renewLinks(token, signal) {
  const follow = async (event) => {
    const link = event.target.closest?.('a[href]');
    if (!link || event.defaultPrevented || !isAttachment(link.href)) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { authorization: `Bearer ${token}` }, signal });
      // The browser fetches the file itself. Only the URL is needed here.
      answer.body?.cancel();
      if (answer.ok) link.href = answer.url;
    } catch {
      // Without a response, the old URL is used.
    }
    if (!signal.aborted) window.open(link.href, '_blank', 'noopener');
  };
  document.addEventListener('click', follow, { signal });
}
