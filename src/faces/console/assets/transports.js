// The transports of Engine.IO 4: websocket, and long-polling for proxies that pass no websockets.

/** Separates the packets in a body. */
const SEPARATOR = '\x1e';

/** The most packets that are sent in one request. */
const AT_ONCE = 16;

/** Timeout of sending the CLOSE packet, in milliseconds. */
const CLOSE_TIMEOUT = 5_000;

const address = (server, transport) => new URL(`/socket.io/?EIO=4&transport=${transport}`, server);

/**
 * Both transports have the same interface. They connect when constructed, call `on.packet(text)` for each packet, and `on.closed()` once
 * when the connection was lost or could not be opened. After `close()` they call nothing.
 */
export class WebSocketTransport {
  #socket;

  constructor(server, on) {
    const url = address(server, 'websocket');
    url.protocol = url.protocol.replace('http', 'ws');
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => on.packet(data);
    this.#socket.onclose = () => on.closed();
  }

  send(packet) {
    this.#socket.send(packet);
  }

  close() {
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }
}

export class PollingTransport {
  #url;
  #on;
  #isOver = false;
  #ended = new AbortController();
  #outgoing = [];
  #isPosting = false;
  #requests = 0;
  #maxPayload = 0;

  constructor(server, on) {
    this.#url = address(server, 'polling');
    this.#on = on;
    this.#poll();
  }

  send(packet) {
    this.#outgoing.push(packet);
    if (!this.#isPosting) this.#post();
  }

  close() {
    if (this.#isOver) return;
    this.#isOver = true;
    // Without it, the server would not notice while no poll is pending.
    const goodbye = { method: 'POST', body: '1', keepalive: true, signal: AbortSignal.timeout(CLOSE_TIMEOUT) };
    const isKnown = this.#url.searchParams.has('sid');
    Promise.resolve(isKnown && this.#request(goodbye)).finally(() => this.#ended.abort());
  }

  async #poll() {
    while (!this.#isOver) {
      const payload = await this.#request({ method: 'GET' });
      if (payload === null || !this.#take(payload)) this.#lost();
    }
  }

  /** Handles the packets of a response. Returns false if it is not the server's, e.g. the log-in page of a proxy. */
  #take(payload) {
    for (const packet of payload.split(SEPARATOR)) {
      if (this.#isOver) return true;
      if (!/^[0-6]/.test(packet)) return false;
      if (packet.startsWith('0')) this.#opened(JSON.parse(packet.slice(1)));
      this.#on.packet(packet);
    }
    return true;
  }

  #opened({ sid, maxPayload }) {
    this.#url.searchParams.set('sid', sid);
    this.#maxPayload = maxPayload;
  }

  /** One request at a time, so that packets arrive in the order in which they were sent. */
  async #post() {
    this.#isPosting = true;
    while (this.#outgoing.length > 0 && !this.#isOver) {
      if ((await this.#request({ method: 'POST', body: this.#nextBody() })) === null) this.#lost();
    }
    this.#isPosting = false;
  }

  #nextBody() {
    const batch = [this.#outgoing.shift()];
    let room = this.#maxPayload - worstSize(batch[0]);
    while (this.#outgoing.length > 0 && batch.length < AT_ONCE && (room -= worstSize(this.#outgoing[0])) >= 0) {
      batch.push(this.#outgoing.shift());
    }
    return batch.join(SEPARATOR);
  }

  /** The body of the response, or `null`. */
  async #request(options) {
    // A new `t` lets the server tell a new request from one that the browser repeats.
    this.#url.searchParams.set('t', `${++this.#requests}`);
    try {
      const fixed = { cache: 'no-store', signal: this.#ended.signal };
      const answer = await fetch(this.#url, { ...fixed, ...options });
      return answer.ok ? await answer.text() : null;
    } catch {
      return null;
    }
  }

  #lost() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ended.abort();
    this.#on.closed();
  }
}

/** The most bytes that a packet and its separator can take, in UTF-8. */
const worstSize = (packet) => 3 * packet.length + 1;
