import assert from 'node:assert/strict';
import { Livefold } from '../livefold.js';

/** A clock that moves when it is told to. */
export class FakeClock {
  time = Date.parse('2026-01-15T10:30:00Z');
  #timers = new Map();
  #last = 0;

  now = () => this.time;

  setTimeout = (work, milliseconds) => {
    this.#timers.set((this.#last += 1), { at: this.time + milliseconds, work });
    return this.#last;
  };

  clearTimeout = (timer) => this.#timers.delete(timer);

  get timers() {
    return this.#timers.size;
  }

  /** Lets time pass, and all that happens in it, in order. */
  async pass(milliseconds) {
    const end = this.time + milliseconds;
    for (;;) {
      await settle();
      const [next] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at);
      if (!next || next[1].at > end) break;
      this.#timers.delete(next[0]);
      this.time = Math.max(this.time, next[1].at);
      next[1].work();
    }
    this.time = end;
  }
}

/** Lets every promise go as far as it can without time passing. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

/** The other end of sockets: what was opened, and what is said on it. */
export class FakeServer {
  /** @type {FakeSocket[]} */
  sockets = [];
  /** Answers each action by itself where it can. */
  isHelpful = true;
  /** The subprotocol that it chooses. */
  protocol = 'livefold.v1';

  constructor(clock) {
    this.clock = clock;
    const server = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url, protocols) {
        super(url, protocols, server);
        server.sockets.push(this);
      }
    };
  }

  get newest() {
    return this.sockets.at(-1);
  }

  get open() {
    return this.sockets.filter(({ readyState }) => readyState === 1);
  }

  get timestamp() {
    return new Date(this.clock.now()).toISOString();
  }
}

class FakeSocket extends EventTarget {
  readyState = 0;
  /** @type {any[]} */
  sent = [];

  constructor(url, protocols, server) {
    super();
    Object.assign(this, { url, protocols, server });
  }

  send(text) {
    const message = JSON.parse(text);
    this.sent.push(message);
    if (!this.server.isHelpful) return;
    const { action, channel, channels } = message;
    if (action === 'ping') this.say({ type: 'pong' });
    if (action === 'subscribe' && channels) this.batch(...channels.map((of) => this.viewOf(of, '0.', {})));
    if (action === 'unsubscribe' && channels) this.batch(...channels.map((of) => ({ type: 'unsubscribed', channel: of })));
    if (channels) return;
    if (action === 'subscribe') this.view(channel, '0.', {});
    if (action === 'unsubscribe') this.say({ type: 'unsubscribed', channel });
  }

  close() {
    this.readyState = 3;
  }

  accept() {
    this.readyState = 1;
    this.protocol = this.server.protocol;
    this.dispatchEvent(new Event('open'));
  }

  /** Refuses the handshake, or ends the connection. */
  drop() {
    this.readyState = 3;
    this.dispatchEvent(new Event('error'));
    this.dispatchEvent(new Event('close'));
  }

  say(message) {
    const text = typeof message === 'string' ? message : JSON.stringify({ timestamp: this.server.timestamp, ...message });
    this.dispatchEvent(Object.assign(new Event('message'), { data: text }));
  }

  /** Says several messages in one frame. */
  batch(...messages) {
    this.say({ type: 'batch', messages });
  }

  viewOf(channel, cursor, data, timestamp = this.server.timestamp) {
    return { type: 'metrics_update', channel, cursor, data, timestamp };
  }

  view(channel, cursor, data, timestamp) {
    this.say(this.viewOf(channel, cursor, data, timestamp));
  }

  error(code, action) {
    this.say({ type: 'error', data: { code, message: `It is ${code}.`, action } });
  }

  actions(action) {
    return this.sent.filter((message) => message.action === action);
  }
}

/** Answers REST requests by what a test puts in. */
export class FakeRest {
  /** @type {Array<{path: string, method: string, headers: Record<string, string>, query?: Record<string, string>}>} */
  requests = [];
  /** @type {(request: any) => Response | Promise<Response>} */
  answer = () => new Response('{}', { status: 404 });

  fetch = async (url, { method = 'GET', headers = {}, signal } = {}) => {
    const { pathname, searchParams } = new URL(url);
    const request = { path: decodeURIComponent(pathname), method, headers, ...(searchParams.size > 0 && { query: Object.fromEntries(searchParams) }) };
    this.requests.push(request);
    if (signal?.aborted) throw signal.reason;
    const aborted = new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    return Promise.race([this.answer(request), aborted]);
  };

  asked(path) {
    return this.requests.filter((request) => request.path.endsWith(path));
  }
}

/** The body of a channel, with its entity tag. */
export function shown(data, etag = '"1.a-00"') {
  return new Response(JSON.stringify({ success: true, data }), { headers: { etag } });
}

/** A token that ends at a time. It is not signed. */
export function tokenUntil(milliseconds, name = 'ann') {
  const claims = Buffer.from(JSON.stringify({ sub: name, exp: milliseconds / 1000 })).toString('base64url');
  return `e30.${claims}.c2ln`;
}

/** A client among fakes, and all that it told. */
export function stage(options = {}) {
  const clock = new FakeClock();
  const server = new FakeServer(clock);
  const rest = new FakeRest();
  const told = { statuses: [], errors: [], messages: [], notices: [], views: [] };
  const live = new Livefold({
    url: 'wss://example.com/ws',
    rest: 'https://example.com/api',
    token: 'secret-token',
    WebSocket: server.WebSocket,
    fetch: rest.fetch,
    random: () => 1,
    window: {},
    clock,
    ...(typeof options === 'function' ? options({ clock, server, rest }) : options),
  });
  live.on('status', (change) => told.statuses.push(change));
  live.on('error', (error) => told.errors.push(error));
  live.on('message', (message) => told.messages.push(message));
  live.on('notice', (notice) => told.notices.push(notice));
  const watch = (channel) => live.subscribe(channel, (view) => told.views.push(view));
  return { clock, server, rest, told, live, watch };
}

/** A stage whose socket is open. */
export async function liveStage(options, ...channels) {
  const scene = stage(options);
  for (const channel of channels) scene.watch(channel);
  await settle();
  scene.server.newest.accept();
  await settle();
  assert.equal(scene.live.status, 'live');
  return scene;
}

/** Lets time pass up to the next attempt. */
export async function untilRetry({ clock, live }) {
  await settle();
  await clock.pass(live.retryAt - clock.now());
  await settle();
}

/** The statuses that were told, in order. */
export function statuses(told) {
  return told.statuses.map(({ status }) => status);
}
