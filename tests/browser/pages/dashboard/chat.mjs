// The chat screen for both roles, which behaves like the replaced dashboard's: see the README beside this file.

import { drawRows } from '../rows.mjs';
import * as link from './socket.mjs';

async function get(path) {
  const answer = await fetch(`${link.SERVER}/api/chat/${path}`, {
    headers: { authorization: `Bearer ${localStorage.getItem('token')}` },
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** The caller's id, read from the token as a browser can. */
function ownId() {
  try {
    return JSON.parse(atob(localStorage.getItem('token').split('.')[1])).id;
  } catch {
    return null;
  }
}

/** Shows the screen in `root`, and gives the function that leaves it. */
export function openChat(root, role) {
  const isAdmin = role === 'admin';
  const me = ownId();
  const state = { messages: [], people: [], online: new Set(), selected: null, adminId: null, loading: false };
  Object.assign(state, { status: 'connecting', isTyping: false, otherTypes: false, isChatShown: !isAdmin });
  let typingTimer;
  let isLeft = false;
  const find = (selector) => root.querySelector(selector);
  const set = (change) => {
    Object.assign(state, change);
    if (!isLeft) render(find, state, isAdmin, select);
  };

  async function loadConversations(online) {
    try {
      set({ loading: true });
      const people = await get('conversations');
      set({ people: people.map((one) => ({ ...one, id: one.userId, online: online.has(one.userId) })) });
    } catch (error) {
      console.error(error);
    } finally {
      set({ loading: false });
    }
  }

  async function loadMessages(id) {
    try {
      set({ loading: true });
      const found = await get(`messages/${id}`);
      set({ messages: found.map((message) => ({ id: message._id, text: message.message, isOwn: message.sender._id === me })) });
      link.emit('mark-read', { senderId: id });
    } catch (error) {
      console.error(error);
    } finally {
      set({ loading: false });
    }
  }

  async function select(person) {
    set({ selected: person, isChatShown: true });
    await loadMessages(person.id);
    set({ people: state.people.map((one) => (one.id === person.id ? { ...one, unreadCount: 0 } : one)) });
  }

  async function start() {
    // The first list is rendered with nobody online: announcements that came before are ignored.
    if (isAdmin) return loadConversations(new Set());
    try {
      set({ loading: true });
      const admin = await get('admin');
      set({ adminId: admin._id, selected: { id: admin._id, name: 'Support Team' } });
      await loadMessages(admin._id);
    } catch (error) {
      console.error(error);
    } finally {
      set({ loading: false });
    }
  }

  // A received message is shown even if it is already on the screen.
  function received(message) {
    const partner = isAdmin ? state.selected?.id : state.adminId;
    if (isAdmin) loadConversations(state.online);
    if (!partner || message.sender._id !== partner) return;
    set({ messages: [...state.messages, { id: message._id, text: message.message, isOwn: false }] });
    link.emit('mark-read', { senderId: message.sender._id });
  }

  // An own message is shown once, in whatever conversation is open.
  function sent(message) {
    if (message.sender._id !== me || state.messages.some(({ id }) => id === message._id)) return;
    set({ messages: [...state.messages, { id: message._id, text: message.message, isOwn: true }] });
  }

  function present(userId, isOnline) {
    const online = new Set(state.online);
    online[isOnline ? 'add' : 'delete'](userId);
    set({ online, people: state.people.map((one) => (one.id === userId ? { ...one, online: isOnline } : one)) });
  }

  const types = (userId, otherTypes) => state.selected?.id === userId && set({ otherTypes });

  function stopTyping(to) {
    clearTimeout(typingTimer);
    state.isTyping = false;
    if (to) link.emit('stop-typing', { receiverId: to });
  }

  function keyPressed() {
    const to = isAdmin ? state.selected?.id : state.adminId;
    if (to && !state.isTyping) {
      state.isTyping = true;
      link.emit('typing', { receiverId: to });
    }
    clearTimeout(typingTimer);
    typingTimer = setTimeout(() => stopTyping(to), 2000);
  }

  function send(event) {
    event.preventDefault();
    const input = find('#input');
    const text = input.value.trim();
    const to = isAdmin ? state.selected?.id : state.adminId;
    if (!text || input.disabled) return;
    if (!to || !link.canSend()) {
      alert('Connection lost. Please refresh the page.');
      return;
    }
    link.emit('send-message', { receiverId: to, message: text });
    // The page believes that it was sent.
    input.value = '';
    stopTyping(to);
  }

  find('form').onsubmit = send;
  find('#input').oninput = keyPressed;
  find('#back').onclick = () => set({ isChatShown: false, selected: null, messages: [] });

  const socket = link.connect(localStorage.getItem('token'));
  socket.on('connect', () => set({ status: 'connected' }));
  socket.on('disconnect', () => set({ status: 'disconnected' }));
  socket.on('connect_error', () => set({ status: 'disconnected' }));
  socket.on('authenticated', ({ success }) => set({ status: success ? 'connected' : 'disconnected' }));
  start();
  socket.on('receive-message', received);
  socket.on('message-sent', sent);
  socket.on('user-online', ({ userId }) => present(userId, true));
  socket.on('user-offline', ({ userId }) => present(userId, false));
  socket.on('user-typing', ({ userId }) => types(userId, true));
  socket.on('user-stop-typing', ({ userId }) => types(userId, false));

  return () => {
    isLeft = true;
    link.removeAllListeners();
  };
}

const STATUS = { connected: 'Online', connecting: 'Connecting...', disconnected: 'Offline' };

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function makePerson() {
  const row = element('li', 'person', '');
  row.append(element('b', '', ''), ' ', element('span', 'last', ''), ' ');
  return row;
}

function render(find, state, isAdmin, select) {
  find('#people').hidden = !isAdmin || state.isChatShown;
  find('#pane').hidden = !state.isChatShown;
  find('#back').hidden = !isAdmin;
  find('#people-state').textContent = state.loading ? 'Loading conversations...' : '';
  drawRows(find('#people ul'), state.loading ? [] : state.people, {
    key: ({ id }) => id,
    make: makePerson,
    update(row, person) {
      const [name, last, badge] = row.children;
      [name.className, name.textContent] = [person.online ? 'online' : '', person.name];
      last.textContent = person.lastMessage;
      if (person.unreadCount === 0) badge?.remove();
      else if (badge) badge.textContent = String(person.unreadCount);
      else row.append(element('span', 'badge', String(person.unreadCount)));
      row.onclick = () => select(person);
    },
  });
  find('#partner').textContent = state.selected?.name ?? '';
  find('#status').textContent = isAdmin ? '' : STATUS[state.status];
  // While something is being loaded, nothing else can be seen or written.
  find('#state').textContent = state.loading ? 'Loading messages...' : '';
  find('#log').replaceChildren(...(state.loading ? [] : state.messages).map(({ text, isOwn }) =>
    element('p', isOwn ? 'message own' : 'message', text)));
  find('#typing').hidden = !state.otherTypes;
  find('#typing').textContent = isAdmin ? `${state.selected?.name} is typing...` : 'Support is typing...';
  find('#input').disabled = find('#send').disabled = state.loading || !(isAdmin ? state.selected : state.adminId);
}
