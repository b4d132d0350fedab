// Shared by both pages: one socket at a time, and its messages.

export const address = new URLSearchParams(location.search);
const server = address.get('server');
export const at = (id) => document.getElementById(id);
export const token = () => localStorage.getItem('access_token') ?? JSON.parse(localStorage.getItem('auth') ?? '{}').access;

export const state = { conversations: [], room: null, messages: [], isLoading: false, error: null, isConnected: false, socket: null };
let render = () => {};
export const onChange = (draw) => (render = draw);
export function set(change) {
  Object.assign(state, change);
  render();
}

/** A request without credentials; `bearer` is a token. */
export async function api(path, { method = 'GET', body, bearer } = {}) {
  const headers = { ...(body ? { 'Content-Type': 'application/json' } : {}), ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}) };
  const answer = await fetch(`${server}/api/${path}`, { method, headers, body: body && JSON.stringify(body), credentials: 'same-origin' });
  const data = await answer.json().catch(() => null);
  if (!answer.ok) throw Object.assign(new Error(data?.detail ?? 'Request failed'), { status: answer.status });
  return data;
}

const MEANING = {
  4401: 'Session expired. Please sign in again.',
  4403: 'No admin permissions.',
  4404: 'Chat room not found.',
  1011: 'Server error.',
};

/** Connects to a room, or without one to the agents' overview. */
export function connect(room, refresh) {
  state.socket?.close();
  const path = room ? `/ws/chat/${room}/` : `/ws/admin/chat/?token=${encodeURIComponent(token())}`;
  const socket = new WebSocket(server.replace('http', 'ws') + path);
  socket.onopen = () => set({ isConnected: true, error: null });
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type === 'chat_message' && !state.messages.some(({ id }) => id === frame.message.id)) {
      set({ messages: [...state.messages, frame.message] });
    }
    if (frame.type === 'room_list') set({ conversations: frame.rooms });
    if (frame.type === 'room_info') set({ room: frame.room });
    if (['new_customer_message', 'admin_message_sent'].includes(frame.type)) refresh?.();
  };
  socket.onclose = ({ code }) => {
    const error = [1000, 1001].includes(code) ? state.error : (MEANING[code] ?? `Connection failed (code ${code}).`);
    set({ isConnected: false, error });
  };
  socket.onerror = () => set({ isConnected: false, error: 'Connection error.' });
  set({ socket });
}

/** Opens a room by its id alone. */
export async function openRoom(id) {
  set({ isLoading: true, error: null });
  try {
    const room = await api(`public/chat-rooms/${id}/`);
    connect(id);
    set({ room, messages: await api(`public/chat-rooms/${id}/get_messages/`), isLoading: false });
  } catch (error) {
    set({ error: error.message, isLoading: false });
  }
}

/** Sends what stands in the input, and appends the answer. */
export async function send(path, bearer) {
  const content = at('input').value;
  if (!content.trim() || state.isLoading) return;
  set({ isLoading: true, error: null });
  try {
    const message = await api(path, { method: 'POST', body: { content: content.trim() }, bearer });
    set({ messages: [...state.messages, message], isLoading: false });
    at('input').value = '';
  } catch (error) {
    set({ error: error.message, isLoading: false });
  }
}

/** The messages of the room, or the error in their place. */
export function drawMessages(own) {
  at('connection').textContent = state.isConnected ? 'connected' : 'disconnected';
  // For the tests: the page's own state may be wrong, because the previous socket closes late.
  at('messages').dataset.socket = state.socket?.readyState === WebSocket.OPEN ? 'open' : '';
  at('error').textContent = state.error ?? '';
  at('retry').hidden = !state.error;
  const lines = state.error ? [] : state.messages;
  at('messages').replaceChildren(...lines.map(({ content, sender_type: side }) => {
    const line = document.createElement('p');
    line.className = side === own ? 'message own' : 'message';
    line.textContent = content;
    return line;
  }));
}
