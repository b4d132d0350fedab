import { drawRows } from '../rows.mjs';
import { address, api, at, connect, drawMessages, onChange, openRoom, send, set, state, token } from './chat.mjs';

let chosen = null;

onChange(() => {
  drawMessages('admin');
  at('head').textContent = chosen ? `${chosen.customer_name || 'Anonymous'} (${chosen.status})` : '';
  drawRows(at('rooms'), state.error ? [] : state.conversations, {
    key: ({ id }) => id,
    make: () => document.createElement('div'),
    update(line, room) {
      line.className = chosen?.id === room.id ? 'room chosen' : 'room';
      const unread = room.unread_count ? ` [${room.unread_count}]` : '';
      line.textContent = `${room.customer_name || 'Anonymous'}: ${room.last_message?.content ?? 'No messages yet'}${unread}`;
      line.onclick = () => choose(room).catch(() => {});
    },
  });
  if (!chosen && state.conversations.length > 0) open(state.conversations[0]);
});

function open(room) {
  chosen = room;
  openRoom(room.id);
}

async function choose(room) {
  open(room);
  await api(`admin/chat-rooms/${room.id}/mark_as_read/`, { method: 'POST', body: {}, bearer: token() });
  set({ conversations: state.conversations.map((other) => (other.id === room.id ? { ...other, unread_count: 0 } : other)) });
}

async function refresh() {
  const { results } = await api('admin/chat-rooms/', { bearer: token() });
  set({ conversations: results });
}

async function load() {
  try {
    await refresh();
    connect(null, () => refresh().catch(() => {}));
  } catch (error) {
    set({ error: error.message });
  }
}

at('write').onsubmit = (event) => {
  event.preventDefault();
  if (chosen) send(`admin/chat-rooms/${chosen.id}/send_message/`, token());
};

at('retry').onclick = () => {
  set({ error: null });
  load();
};

at('sign-in').onsubmit = async (event) => {
  event.preventDefault();
  try {
    const body = { username: at('username').value, password: at('password').value };
    const data = await api('auth/login/', { method: 'POST', body });
    localStorage.setItem('auth', JSON.stringify(data));
    localStorage.setItem('access_token', data.access);
    show();
  } catch {
    at('wrong').textContent = 'Invalid credentials';
  }
};

function show() {
  at('sign-in').hidden = true;
  document.querySelector('main').hidden = false;
  load();
}

if (token() && !address.has('sign-in')) show();
