import { api, at, connect, drawMessages, onChange, openRoom, send, set, state } from './chat.mjs';

onChange(() => drawMessages('customer'));

at('start').onclick = async () => {
  document.querySelector('main').hidden = false;
  if (state.room) return;
  const { results } = await api('public/chat-rooms/');
  const known = results.find(({ status }) => status === 'active') ?? results[0];
  if (known) return openRoom(known.id);
  const body = { customer_name: 'Anonymous User', customer_email: 'user@example.com' };
  const room = await api('public/chat-rooms/', { method: 'POST', body });
  connect(room.id);
  set({ room });
  connect(room.id);
};

at('write').onsubmit = (event) => {
  event.preventDefault();
  if (state.room) send(`public/chat-rooms/${state.room.id}/send_message/`);
};

at('retry').onclick = () => {
  set({ error: null });
  connect(state.room.id);
};
