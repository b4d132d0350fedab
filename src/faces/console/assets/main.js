// The entry point: shows the log-in form, or the console to an agent who is logged in.

import { account, forget, logIn, Refused } from './account.js';
import { Console } from './console.js';
import { byId, setText } from './dom.js';

const form = byId('log-in');
let open = null;

/** Shows the console, or the form and why the agent was logged out. */
function show(problem = '') {
  const isIn = Boolean(account());
  byId('entrance').hidden = isIn;
  byId('desk').hidden = !isIn;
  setText(byId('log-in-problem'), problem);
  if (isIn) open ??= new Console((reason) => leave(`You were logged out: ${reason}.`));
  else form.elements.email.focus();
}

function leave(problem) {
  forget();
  open?.close();
  open = null;
  show(problem);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { email, password, submit } = form.elements;
  submit.disabled = true;
  setText(byId('log-in-problem'), '');
  try {
    await logIn(email.value, password.value);
    form.reset();
    show();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText(byId('log-in-problem'), error.message);
    password.select();
  } finally {
    submit.disabled = false;
  }
});

byId('log-out').addEventListener('click', () => {
  // A reload clears everything that the next person at this screen must not see.
  location.hash = '';
  leave();
});

show();
