// The logged-in account, and REST requests. The token is stored until the browser's tab is closed.

const KEY = 'deskline.account';
const AGENTS = ['admin', 'agent'];

/** A request was rejected, by the server or by this page. The message is for people. */
export class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** `{token, name, email}` of the logged-in account, or `null`. */
export function account() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

export function forget() {
  sessionStorage.removeItem(KEY);
}

/** Whether a role may use the console. */
export const isAgent = (role) => AGENTS.includes(role);

/** Logs in, and stores the token in the tab. Throws `Refused`. */
export async function logIn(email, password) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ email, password });
  const { token, role, name } = await ask('/api/auth/login', { method: 'POST', headers, body });
  if (!isAgent(role)) throw new Refused('This console is for agents; this is a customer’s account.');
  const found = { token, name, email: email.trim().toLowerCase() };
  sessionStorage.setItem(KEY, JSON.stringify(found));
  return found;
}

/** Sends a request and returns the response's body. Throws `Refused`. */
export function get(path) {
  return ask(path, { headers: { authorization: `Bearer ${account()?.token}` } });
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { ...options, cache: 'no-store', credentials: 'omit' });
  } catch {
    throw new Refused('The server cannot be reached.');
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && body) return body;
  throw new Refused(body?.message ?? 'The server reported an error.', answer.status);
}
