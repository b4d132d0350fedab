import { drawRows } from '../rows.mjs';

const address = new URLSearchParams(location.search);
const every = Number(address.get('every') ?? 10_000);
const at = (id) => document.getElementById(id);
const auth = () => JSON.parse(localStorage.getItem('auth') ?? '{}');
let [rooms, chosen, messages, isLoading] = [[], null, [], false];

/** What went wrong stands on the screen already. */
const quietly = (work) => () => work().catch(() => {});

/** A request to the page's own origin. After a 401 it is tried once more with the token that the refresh token gives. */
async function request(path, { method = 'GET', body, isAgain = false } = {}) {
  isLoading = true;
  try {
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${auth().access}` };
    const answer = await fetch(`/api/admin/${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (answer.status === 401 && !isAgain) {
      const body = JSON.stringify({ refresh: auth().refresh });
      const renewed = await fetch('/api/auth/refresh/', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
      if (!renewed.ok) throw new Error('signed out');
      // The refresh token in the response is not stored.
      localStorage.setItem('auth', JSON.stringify({ ...auth(), access: (await renewed.json()).access }));
      return await request(path, { method, body, isAgain: true });
    }
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    at('error').textContent = '';
    return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    at('error').textContent = error.message;
    throw error;
  } finally {
    isLoading = false;
  }
}

function draw() {
  at('count').textContent = `${rooms.length} rooms`;
  at('head').textContent = chosen?.display_name ?? '';
  drawRows(at('rooms'), rooms, {
    key: ({ id }) => id,
    make: () => document.createElement('div'),
    update(line, room) {
      line.className = chosen?.id === room.id ? 'room chosen' : 'room';
      line.textContent = `${room.customer_name || 'Anonymous Customer'}${room.unread_count ? ` [${room.unread_count}]` : ''}`;
      line.onclick = quietly(() => choose(room));
    },
  });
  at('messages').replaceChildren(...messages.map(({ content, sender_name: author, sender_type: side }) => {
    const line = document.createElement('p');
    line.className = side === 'admin' ? 'message own' : 'message';
    line.textContent = `${author}: ${content}`;
    return line;
  }));
}

async function choose(room) {
  chosen = room;
  messages = await request(`chat-rooms/${room.id}/get_messages/`);
  draw();
  await request(`chat-rooms/${room.id}/mark_as_read/`, { method: 'PATCH' });
}

async function list() {
  rooms = (await request('chat-rooms/')).results;
  draw();
  if (!chosen && rooms.length > 0) await choose(rooms[0]);
}

at('delete').onclick = quietly(async () => {
  if (!confirm('Are you sure you want to delete this chat room?')) return;
  await request(`chat-rooms/${chosen.id}/`, { method: 'DELETE' });
  rooms = rooms.filter(({ id }) => id !== chosen.id);
  [chosen, messages] = [null, []];
  await list();
});

const send = quietly(async () => {
  const content = at('input').value;
  if (!content.trim() || !chosen || isLoading) return;
  const { data } = await request(`chat-rooms/${chosen.id}/send_message/`, { method: 'POST', body: { content } });
  messages = [...messages, data];
  at('input').value = '';
  draw();
});

at('write').onsubmit = (event) => {
  event.preventDefault();
  send();
};

async function ping() {
  const isUp = await fetch('/api/admin/health/ping/').then(({ ok }) => ok, () => false);
  at('warning').hidden = isUp;
}

quietly(list)();
quietly(ping)();
setInterval(quietly(list), every);
setInterval(quietly(ping), every);
