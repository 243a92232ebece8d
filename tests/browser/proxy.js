import { once } from 'node:events';
import net from 'node:net';

/** A TCP proxy between page and system that can do what networks do: cut, refuse, and let no WebSocket through. */
export class Proxy {
  #target;
  #server = net.createServer((client) => this.#carry(client));
  #port = 0;
  /** @type {Set<net.Socket>} */
  #sockets = new Set();
  /** Whether handshakes of WebSockets are refused, as some corporate proxies do. */
  refusesSockets = false;

  /** @param {number} target port */
  static async to(target) {
    const proxy = new Proxy();
    proxy.#target = target;
    await proxy.permit();
    return proxy;
  }

  get address() {
    return `localhost:${this.#port}`;
  }

  /** Takes connections again, on the port that it always had. */
  async permit() {
    this.#server.listen(this.#port, 'localhost');
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

  async close() {
    if (this.#server.listening) await this.refuse();
  }

  #carry(client) {
    client.once('data', (first) => {
      // A browser opens a connection of its own for each WebSocket.
      if (this.refusesSockets && /^GET \/ws/.test(first.toString('latin1'))) {
        client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        return;
      }
      const server = net.connect(this.#target, 'localhost');
      server.write(first);
      client.pipe(server);
      server.pipe(client);
      this.#keep(server, client);
      client.on('close', () => server.destroy());
    });
    this.#keep(client, null);
  }

  #keep(socket, other) {
    this.#sockets.add(socket);
    socket.on('error', () => other?.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      other?.destroy();
    });
  }
}
