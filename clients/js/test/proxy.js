import { once } from 'node:events';
import net from 'node:net';

/** A TCP proxy between client and server that can do what networks do: refuse, cut, and fall silent. */
export class Proxy {
  /** What each connection carried, in the order in which they were opened. */
  log = [];
  #target;
  #server = net.createServer({ pauseOnConnect: true }, (client) => this.#carry(client));
  #port = 0;
  /** @type {Set<net.Socket>} */
  #sockets = new Set();
  #isStalled = false;

  constructor(target) {
    this.#target = target;
  }

  static async to(target) {
    const proxy = new Proxy(target);
    await proxy.permit();
    return proxy;
  }

  get address() {
    return `127.0.0.1:${this.#port}`;
  }

  /** Connections that are open, counted on the client's side. */
  get connections() {
    return this.#sockets.size / 2;
  }

  /** Takes connections again, on the port that it always had. */
  async permit() {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = this.#server.address().port;
  }

  /** Takes no connection any more, and cuts those that are open. */
  async refuse() {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Carries nothing any more, and leaves everybody connected. */
  stall() {
    this.#isStalled = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Carries what was held up. */
  resume() {
    this.#isStalled = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async close() {
    if (this.#server.listening) await this.refuse();
  }

  #carry(client) {
    // It was on its way in when the door was closed.
    if (!this.#server.listening) {
      client.resetAndDestroy();
      return;
    }
    const server = net.connect(this.#target);
    const carried = { sent: '', received: '' };
    this.log.push(carried);
    for (const [from, to, way] of [[client, server, 'sent'], [server, client, 'received']]) {
      this.#sockets.add(from);
      from.on('data', (chunk) => {
        carried[way] += chunk.toString('latin1');
        to.write(chunk);
      });
      from.on('end', () => to.end());
      // Whatever happens to one side happens to the other.
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#isStalled) from.pause();
      else from.resume();
    }
  }
}
