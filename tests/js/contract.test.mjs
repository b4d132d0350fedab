// The whole protocol, over each combination of transports of the stock client.

import { describe } from 'node:test';

import { Server } from './server.mjs';
import acknowledge from './stories/acknowledge.mjs';
import authenticate from './stories/authenticate.mjs';
import catchUp from './stories/catch-up.mjs';
import denials from './stories/denials.mjs';
import fixedBugs from './stories/fixed-bugs.mjs';
import frontendDefects from './stories/frontend-defects.mjs';
import held from './stories/held.mjs';
import lifecycle from './stories/lifecycle.mjs';
import limited from './stories/limited.mjs';
import otherFrontends from './stories/other-frontends.mjs';
import oldProtocol from './stories/old-protocol.mjs';
import presence from './stories/presence.mjs';
import read from './stories/read.mjs';
import rest from './stories/rest.mjs';
import receipts from './stories/receipts.mjs';
import recovery from './stories/recovery.mjs';
import resume from './stories/resume.mjs';
import revise from './stories/revise.mjs';
import rights from './stories/rights.mjs';
import send from './stories/send.mjs';
import transport from './stories/transport.mjs';
import typing from './stories/typing.mjs';
import variants from './stories/variants.mjs';

const TRANSPORTS = { 'websocket only': ['websocket'], 'polling only': ['polling'], upgrading: ['polling', 'websocket'] };

// Most tests wait for something. Each has its own server, so they can run concurrently.
const AT_ONCE = { concurrency: 12 };

for (const [name, transports] of Object.entries(TRANSPORTS)) {
  const start = (t, ...args) => Server.start(t, { transports, args });
  describe(name, AT_ONCE, () => {
    transport(start, transports);
    for (const stories of [
      authenticate, presence, send, typing, read, acknowledge, variants, otherFrontends, resume, revise, receipts, catchUp, rights,
      lifecycle, fixedBugs, frontendDefects, recovery, held, denials,
    ]) {
      stories(start);
    }
  });
}

describe('without a socket', AT_ONCE, () => {
  rest((t, ...args) => Server.start(t, { args }));
  limited((t, ...args) => Server.start(t, { args }));
});

describe('Engine.IO 3', AT_ONCE, () => oldProtocol((t, ...args) => Server.start(t, { args })));
