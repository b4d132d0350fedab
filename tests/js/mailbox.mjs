// A mail server that stores received mails.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** Timeout of waiting for a mail, in milliseconds. */
const DEADLINE = 20_000;

export class Mailbox {
  /** Received mails: `to`, and `text` including headers. */
  mails = [];
  #listener;
  #sockets = new Set();
  #waiting = new Set();

  /** Starts a mail server for `--smtp-url`, until the end of the test. */
  static async open(t) {
    const box = new Mailbox();
    box.#listener = createServer((socket) => box.#serve(socket)).listen(0, '127.0.0.1');
    await once(box.#listener, 'listening');
    box.url = `smtp://127.0.0.1:${box.#listener.address().port}`;
    t.after(() => box.#close());
    return box;
  }

  /** Waits for the first mail to an address that matches a pattern, and returns the pattern's group. The mail may have arrived already. */
  async find(to, pattern) {
    const late = AbortSignal.timeout(DEADLINE);
    for (;;) {
      const found = this.mails.filter((mail) => mail.to === to).map(({ text }) => pattern.exec(text)).find(Boolean);
      if (found) return found[1];
      await new Promise((resolve, reject) => {
        this.#waiting.add(resolve);
        late.onabort = () => reject(new Error(`no mail to ${to} matches ${pattern}: ${JSON.stringify(this.mails)}`));
      });
    }
  }

  async #serve(socket) {
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    const reply = (line) => socket.write(`${line}\r\n`);
    reply('220 mailbox');
    let to;
    let text;
    for await (const line of createInterface({ input: socket })) {
      if (text !== undefined && line !== '.') text += `${line.replace(/^\./, '')}\n`;
      else if (text !== undefined) {
        this.mails.push({ to, text: decoded(text) });
        text = undefined;
        reply('250 stored');
        for (const wake of this.#waiting) wake();
        this.#waiting.clear();
      } else if (line.startsWith('RCPT')) {
        to = /<(.*?)>/.exec(line)[1];
        reply('250 ok');
      } else if (line === 'DATA') {
        text = '';
        reply('354 go on');
      } else if (line === 'QUIT') {
        reply('221 bye');
        socket.end();
      } else reply('250 ok');
    }
  }

  #close() {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Decodes quoted-printable, which is used for long lines. */
function decoded(text) {
  if (!/^content-transfer-encoding: quoted-printable/im.test(text)) return text;
  return text.replace(/=\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}
