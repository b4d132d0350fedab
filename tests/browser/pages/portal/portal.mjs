// A page that behaves like the portal's: it fetches the history once, then opens a socket that reconnects by itself,
// fetches nothing more, and shows each frame as it arrives.

const address = new URLSearchParams(location.search);
const server = address.get('server');
const token = localStorage.getItem('authToken');
const at = (id) => document.getElementById(id);

const api = async (path, body) => {
  const headers = { 'Content-Type': 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(`${server}/api/${path}`, { headers, ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}) });
  return { ok: answer.ok, data: await answer.json() };
};

/** The socket of one room: up to five attempts to come back, each a second later than the one before. */
class RoomSocket {
  attempts = 0;

  constructor(room, receive) {
    Object.assign(this, { room, receive });
    this.open();
  }

  open() {
    this.socket = new WebSocket(`${server.replace('http', 'ws')}/ws/chat/${this.room}/?token=${token}`);
    this.socket.onopen = () => {
      this.attempts = 0;
      count('opened');
      at('connection').textContent = 'connected';
    };
    this.socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    this.socket.onclose = ({ code }) => {
      count('closed');
      at('connection').textContent = 'disconnected';
      if (code !== 1000 && this.attempts < 5) setTimeout(() => this.open(), 1000 * ++this.attempts);
    };
  }

  send(frame) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }
}

const count = (id) => (at(id).textContent = Number(at(id).textContent) + 1);

function show({ message, sender_type: side }, own) {
  const line = document.createElement('div');
  line.className = side === own ? 'message own' : 'message';
  line.textContent = message;
  at('messages').append(line);
}

async function chat() {
  document.querySelector('main').hidden = false;
  at('forgot').hidden = true;
  const isAgent = address.has('room');
  const own = isAgent ? 'admin' : 'user';
  const rooms = isAgent ? (await api('chat/rooms/')).data : [(await api('chat/rooms/my_room/')).data.room];
  const room = isAgent ? rooms.find(({ user_email: email }) => email === address.get('room')) : rooms[0];
  if (room) (await api(`chat/messages/room_messages/?room_id=${room.id}`)).data.messages.forEach((message) => show(message, own));
  const socket = new RoomSocket(room?.id, (frame) => {
    if (frame.type === 'chat_message') show(frame, own);
    if (frame.type === 'typing') at('typing').textContent = frame.is_typing ? `${frame.user_name} types` : '';
    if (frame.type === 'user_status' && (frame.user_id === room.user) === isAgent) at('partner').textContent = frame.status;
  });
  const send = () => {
    if (socket.send({ type: 'chat_message', message: at('input').value })) at('input').value = '';
  };
  at('send').onclick = send;
  at('input').onkeydown = ({ key }) => {
    if (key === 'Enter') send();
  };
  at('input').oninput = () => socket.send({ type: 'typing', is_typing: true });
}

at('forgot').onsubmit = async (event) => {
  event.preventDefault();
  const { ok, data } = await api('accounts/password-reset-request/', { email: at('email').value });
  at('note').textContent = ok ? data.message : data.error || 'Failed.';
  at('reset').hidden = !ok;
};

at('set-password').onclick = async () => {
  const [email, code, password, password2] = ['email', 'code', 'password', 'password2'].map((id) => at(id).value);
  const { ok, data } = await api('accounts/password-reset/', { email, otp_code: code, password, password2 });
  at('note').textContent = ok ? data.message : data.error || 'Password reset failed.';
};

if (token) chat();
