// Who is logged in, and what is asked for over REST. The token lives as long as the browser's tab.

const KEY = 'deskline.account';
const AGENTS = ['admin', 'agent'];

/** The server, or this page, has said no; the message is for people. */
export class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** `{token, name, email}` of whoever is logged in, or `null`. */
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

/** Whether this role answers customers. */
export const isAgent = (role) => AGENTS.includes(role);

/** Logs in and remembers it. Throws `Refused`. */
export async function logIn(email, password) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ email, password });
  const { token, role, name } = await ask('/api/auth/login', { method: 'POST', headers, body });
  if (!isAgent(role)) throw new Refused('This console is for agents; this is a customer’s account.');
  const found = { token, name, email: email.trim().toLowerCase() };
  sessionStorage.setItem(KEY, JSON.stringify(found));
  return found;
}

/** What a route answers. Throws `Refused`. */
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
  throw new Refused(body?.message ?? 'The server could not answer.', answer.status);
}
