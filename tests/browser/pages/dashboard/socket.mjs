// The one socket of the page, used as the replaced dashboard uses it: see the README beside this file.

import { io } from '/vendor/socket.io.mjs';

const address = new URLSearchParams(location.search);

export const SERVER = address.get('server');

let socket = null;
let isConnected = false;

/** The socket; a connected one is used again, without another `authenticate`. */
export function connect(token) {
  if (socket?.connected) return socket;
  socket = io(SERVER, {
    autoConnect: true,
    reconnection: true,
    reconnectionDelay: 1000,
    reconnectionDelayMax: 5000,
    reconnectionAttempts: 10,
    timeout: 20000,
    // A test may choose other transports; the replaced page tries these two, in this order.
    transports: (address.get('transports') ?? 'websocket,polling').split(','),
  });
  // The socket is captured, so that its listeners act only as long as it is the newest one.
  socket.on('connect', () => {
    isConnected = true;
    socket.emit('authenticate', token);
  });
  socket.on('authenticated', ({ success }) => {
    if (success) return;
    setTimeout(() => {
      const fresh = localStorage.getItem('token');
      if (fresh && socket?.connected) socket.emit('authenticate', fresh);
    }, 2000);
  });
  socket.on('disconnect', (reason) => {
    isConnected = false;
    if (reason === 'io server disconnect') socket.connect();
  });
  socket.on('connect_error', () => (isConnected = false));
  socket.on('error', (error) => console.error('Socket error:', error));
  return socket;
}

export const current = () => socket;

/** Whether a message may be sent. The flag is up to date only while the listeners above are registered. */
export const canSend = () => isConnected && socket?.connected;

export function emit(name, payload) {
  if (socket?.connected) socket.emit(name, payload);
}

/** Takes off every listener, those of the socket's own care as well. */
export function removeAllListeners() {
  socket?.removeAllListeners();
}
