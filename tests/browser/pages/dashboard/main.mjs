// Two screens, as in the dashboard's menu. Leaving one discards its state; the socket stays open.

import { openChat } from './chat.mjs';

const main = document.querySelector('main');
let leave = () => {};

function show(screen) {
  leave();
  main.replaceChildren(document.getElementById(screen).content.cloneNode(true));
  for (const button of document.querySelectorAll('nav button')) {
    button.toggleAttribute('aria-current', button.id === `to-${screen}`);
  }
  leave = screen === 'chat' ? openChat(main, localStorage.getItem('role')) : () => {};
}

document.getElementById('to-profile').onclick = () => show('profile');
document.getElementById('to-chat').onclick = () => show('chat');
show('profile');
