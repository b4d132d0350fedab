const address = new URLSearchParams(location.search);
const base = `${address.get('server')}/api/public`;
const at = (id) => document.getElementById(id);
const token = () => localStorage.getItem('authToken');
const name = localStorage.getItem('name') ?? 'Customer';
let [room, messages, isLoading] = [null, [], false];

const request = async (path, { method = 'GET', body, withToken = true } = {}) => {
  const headers = { 'Content-Type': 'application/json', ...(withToken && token() ? { Authorization: `Bearer ${token()}` } : {}) };
  const answer = await fetch(base + path, { method, headers, body: body && JSON.stringify(body), credentials: 'include' });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
};

function draw(error = '') {
  at('error').textContent = error;
  at('messages').replaceChildren(...messages.map(({ content, sender_name: author, sender_type: side }) => {
    const line = document.createElement('p');
    line.className = side === 'customer' ? 'message own' : 'message';
    line.textContent = `${author}: ${content}`;
    return line;
  }));
}

async function load() {
  messages = await request(`/chat-rooms/${room.id}/get_messages/`, { withToken: false });
  draw();
}

at('start').onclick = async () => {
  document.querySelector('main').hidden = false;
  isLoading = true;
  const { results } = await request(token() ? '/user-chat/' : '/chat-rooms/');
  // If it has to create the room itself, it stays in the loading state, and nothing can be sent until the chat is
  // reopened.
  room = results[0] ?? (await request('/chat-rooms/', { method: 'POST', body: { customer_name: name }, withToken: false }));
  isLoading = results.length === 0;
  await load();
};

at('close').onclick = () => {
  document.querySelector('main').hidden = true;
  [room, messages] = [null, []];
};

at('write').onsubmit = async (event) => {
  event.preventDefault();
  const content = at('input').value;
  if (!content.trim() || !room || isLoading) return;
  isLoading = true;
  try {
    const kind = token() ? 'user-chat' : 'chat-rooms';
    const { data } = await request(`/${kind}/${room.id}/send_message/`, { method: 'POST', body: { content, customer_name: name } });
    messages = [...messages, data];
    at('input').value = '';
    draw();
  } catch (error) {
    draw(error.message);
    alert(`Failed to send message: ${error.message}`);
  }
  isLoading = false;
};
