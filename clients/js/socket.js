import { Alarm } from './clock.js';
import { Failure } from './failure.js';
import { messagesOf } from './frame.js';
import { lists } from './lists.js';

/** @typedef {import('./livefold.js').Message} Message */

/**
 * What becomes of a subscription: sent and not answered yet, answered, or refused for good.
 * @typedef {'asked' | 'held' | 'refused'} Subscription
 */

/**
 * @typedef {object} Renewal
 * @property {(answer: Message) => void} resolve
 * @property {(failure: Failure) => void} reject
 */

/**
 * @typedef {object} Listeners
 * @property {() => void} open the handshake is over
 * @property {(message: Message) => void} message
 * @property {() => void} settled no subscription waits for its answer
 * @property {(failure: Failure) => void} trouble something failed, and the socket stays
 * @property {(failure: Failure) => void} end nothing more comes; the last call
 */

/** The subprotocol of a server that sends several messages in one frame, and takes lists of channels. */
export const BATCH = 'livefold.batch';

/** `WebSocket.OPEN`. */
const OPEN = 1;

/** What a new connection watches until it subscribes to something. */
const DEFAULT_CHANNELS = ['campaigns', 'system'];

/** One WebSocket, from handshake to end: its subscriptions, and whether the other side still answers. */
export class Socket {
  /** Whose rights it has. */
  token;
  isOpen = false;
  /** Whether it was ended, by whomever. */
  isOver = false;

  #socket;
  #clock;
  #timings;
  #heartbeat;
  #listeners;
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** @type {Set<string>} */
  #wanted = new Set();
  /** @type {Failure | null} Why the server is about to close. */
  #parting = null;
  #heardAt = 0;
  #pingedAt = 0;
  /** Whether a ping was sent and nothing came since. */
  #isProbing = false;
  /** The subscription that was asked for again, alone. */
  #alone = '';
  /** @type {Renewal | null} */
  #renewal = null;
  #isQuiet;

  /** @type {Alarm} The handshake, then the pulse: when to ask whether anybody is there, or to give up. */
  #pulse;
  /** @type {Alarm} Subscriptions that were not answered. */
  #unanswered;
  /** @type {Alarm} */
  #unrenewed;

  /**
   * @param {object} setup
   * @param {string} setup.url
   * @param {string[]} setup.protocols
   * @param {string} setup.token
   * @param {import('./livefold.js').WebSocketClass} setup.WebSocket
   * @param {number} setup.heartbeat
   * @param {boolean} setup.isQuiet whether nothing is to be watched where nothing was asked for
   * @param {import('./clock.js').Clock} setup.clock
   * @param {import('./livefold.js').Timings} setup.timings
   * @param {Listeners} listeners
   */
  constructor({ url, protocols, token, WebSocket, heartbeat, isQuiet, clock, timings }, listeners) {
    this.token = token;
    this.#clock = clock;
    this.#timings = timings;
    this.#heartbeat = heartbeat;
    this.#isQuiet = isQuiet;
    this.#listeners = listeners;
    this.#pulse = new Alarm(clock);
    this.#unanswered = new Alarm(clock);
    this.#unrenewed = new Alarm(clock);
    try {
      this.#socket = new WebSocket(url, protocols);
    } catch {
      // Its error names the address, and with it the ticket.
      throw new Failure('invalid_address', 'The address or the token is not one that a WebSocket can take.');
    }
    this.#pulse.set(timings.connectTimeout, () => this.#end(new Failure('timeout', 'The handshake took too long.'), true));
    this.#socket.addEventListener('open', () => this.#opened());
    this.#socket.addEventListener('message', (event) => this.#heard(event.data));
    this.#socket.addEventListener('close', () => this.#closed());
    // `close` follows and is what counts; without a listener Node would take the error for one that nobody handles.
    this.#socket.addEventListener('error', () => {});
  }

  /** Whether every subscription was answered. */
  get isSettled() {
    return this.#asked().length === 0;
  }

  /**
   * Watches these channels and no others.
   * @param {Iterable<string>} channels
   */
  watch(channels) {
    this.#wanted = new Set(channels);
    if (this.isOpen) this.#reconcile();
  }

  /**
   * Asks for the views of channels again, which `subscribe` is answered with.
   * @param {Iterable<string>} channels
   */
  ask(channels) {
    const wanted = [...channels].filter((channel) => this.#wanted.has(channel));
    if (!this.isOpen || wanted.length === 0) return;
    this.#subscribe(wanted);
    this.#awaitAnswers();
  }

  /** Asks whether anybody is there; without an answer the socket ends. */
  probe() {
    if (!this.isOpen || this.#isProbing) return;
    this.#isProbing = true;
    this.#pingedAt = this.#clock.now();
    this.#send({ action: 'ping' });
    this.#pulse.set(this.#timings.answerTimeout, () => this.#beat());
  }

  /**
   * Gives the connection another token.
   * @param {string} token
   * @returns {Promise<Message>} the answer
   */
  authenticate(token) {
    return new Promise((resolve, reject) => {
      const late = () => this.#renewed((renewal) => renewal.reject(new Failure('timeout', 'The server does not answer.')));
      this.#renewal?.reject(new Failure('timeout', 'Another renewal took its place.'));
      this.#renewal = {
        resolve: (message) => {
          this.token = token;
          resolve(message);
        },
        reject,
      };
      this.#unrenewed.set(this.#timings.answerTimeout, late);
      this.#send({ action: 'authenticate', token });
    });
  }

  /**
   * Ends it from here, without a word to the listeners.
   * @param {boolean} [isDead] nobody is there to answer the closing handshake
   */
  close(isDead = false) {
    if (this.isOver) return;
    this.isOver = true;
    this.isOpen = false;
    for (const alarm of [this.#pulse, this.#unanswered, this.#unrenewed]) alarm.clear();
    this.#renewed((renewal) => renewal.reject(new Failure('socket_lost', 'The connection was closed.')));
    // Only the package `ws` can end without a handshake; it would wait for that for half a minute.
    const { terminate } = /** @type {any} */ (this.#socket);
    if (isDead && terminate) terminate.call(this.#socket);
    else this.#socket.close();
  }

  /**
   * Ends it because of something that only its owner knows.
   * @param {Failure} failure
   */
  fail(failure) {
    this.#end(failure);
  }

  #opened() {
    if (this.isOver) return;
    this.isOpen = true;
    this.#heardAt = this.#pingedAt = this.#clock.now();
    this.#listeners.open();
    // The answer tells the server's clock, and that messages get through.
    this.probe();
    if (this.#isQuiet && this.#wanted.size === 0) {
      for (const channel of DEFAULT_CHANNELS) this.#subscriptions.set(channel, 'held');
    }
    this.#reconcile();
  }

  #closed() {
    const lost = this.isOpen
      ? new Failure('socket_lost', 'The connection was lost.')
      : new Failure('refused', 'The server did not accept the connection.');
    this.#end(this.#parting ?? lost);
  }

  /**
   * @param {Failure} failure
   * @param {boolean} [isDead]
   */
  #end(failure, isDead) {
    if (this.isOver) return;
    this.close(isDead);
    this.#listeners.end(failure);
  }

  /** @param {object} message */
  #send(message) {
    // Between its end and `close`, browsers drop what is sent, and so may others throw.
    if (this.#socket.readyState === OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Pings when it is time, and gives up when a ping was not answered. Any message is an answer. */
  #beat() {
    const now = this.#clock.now();
    if (this.#isProbing) {
      this.#end(new Failure('socket_lost', 'The server does not answer any more.'), true);
      return;
    }
    const next = Math.min(this.#heardAt + this.#timings.silence, this.#pingedAt + this.#heartbeat);
    if (next > now) this.#pulse.set(next - now, () => this.#beat());
    else this.probe();
  }

  /** @param {unknown} text */
  #heard(text) {
    if (this.isOver) return;
    this.#heardAt = this.#clock.now();
    this.#isProbing = false;
    for (const message of messagesOf(text)) {
      if (message instanceof Failure) this.#listeners.trouble(message);
      else this.#take(message);
      if (this.isOver) return;
    }
  }

  /** @param {Message} message */
  #take(message) {
    this.#listeners.message(message);
    if (this.isOver) return;
    if (message.type === 'error') this.#refused(message);
    else if (message.type === 'authenticated') this.#authenticated(message);
    // API Gateway runs requests side by side: this one may have overtaken a `subscribe` that was sent after it.
    else if (message.type === 'unsubscribed') this.ask([String(message.channel)]);
    // Of a long list some views follow later.
    else if (message.type === 'subscribed') for (const channel of message.channels ?? [message.channel]) this.#answered(String(channel), 'held');
    else if (message.channel) this.#answered(message.channel, 'held');
  }

  /** @param {Message} message */
  #refused(message) {
    const { code, message: text, action, channel } = /** @type {any} */ (message.data ?? {});
    const failure = new Failure(String(code), String(text), { action, channel });
    // A server that does not know the action does not repeat it either.
    if (action === 'authenticate' || (this.#renewal && failure.code === 'unknown_action')) {
      this.#renewed((renewal) => renewal.reject(failure));
      return;
    }
    // What nobody wants any more is dropped here in any case.
    if (action === 'unsubscribe') return;
    if (['token_expired', 'revoked'].includes(failure.code)) this.#parting = failure;
    // Another of the same user came at their limit. Whoever leaves at once makes room at once.
    if (failure.code === 'replaced') {
      this.#end(failure);
      return;
    }
    // A token that has ended, or a connection that the server has forgotten: only a new one helps.
    if (failure.code === 'unauthorized' && action === 'subscribe') {
      this.#end(new Failure('token_expired', 'The token has ended.'));
      return;
    }
    // The server does not say which one it refuses. While several wait, the alarm asks again, one by one.
    const asked = this.#asked();
    const suspect = asked.length === 1 ? asked[0] : this.#alone;
    if (action === 'subscribe' && suspect) failure.channel ??= suspect;
    this.#listeners.trouble(failure);
    if (action === 'subscribe' && failure.channel && !failure.isPassing) this.#answered(failure.channel, 'refused');
  }

  /** @param {Message} message */
  #authenticated(message) {
    this.#renewed((renewal) => renewal.resolve(message));
    const { unsubscribed = [] } = /** @type {{unsubscribed?: string[]}} */ (message.data ?? {});
    for (const channel of unsubscribed) {
      if (!this.#subscriptions.has(channel)) continue;
      this.#subscriptions.set(channel, 'refused');
      this.#listeners.trouble(new Failure('forbidden', 'The new token does not open this channel.', { channel }));
    }
    this.#awaitAnswers();
  }

  /** @param {(renewal: Renewal) => void} answer */
  #renewed(answer) {
    const renewal = this.#renewal;
    this.#renewal = null;
    this.#unrenewed.clear();
    if (renewal) answer(renewal);
  }

  /** Sends what changed since the server was last told. */
  #reconcile() {
    const dropped = [...this.#subscriptions.keys()].filter((channel) => !this.#wanted.has(channel));
    const added = [...this.#wanted].filter((channel) => !this.#subscriptions.has(channel));
    this.#subscribe(added);
    for (const channel of dropped) this.#subscriptions.delete(channel);
    this.#sendOf('unsubscribe', dropped);
    this.#awaitAnswers();
  }

  /** @param {string[]} channels */
  #subscribe(channels) {
    for (const channel of channels) this.#subscriptions.set(channel, 'asked');
    this.#sendOf('subscribe', channels);
  }

  /**
   * Says something of channels: at once, where the server takes lists.
   * @param {'subscribe' | 'unsubscribe'} action
   * @param {string[]} channels
   */
  #sendOf(action, channels) {
    const all = this.#socket.protocol === BATCH ? lists(channels) : channels.map((channel) => [channel]);
    for (const list of all) this.#send(list.length === 1 ? { action, channel: list[0] } : { action, channels: list });
  }

  /**
   * @param {string} channel
   * @param {Subscription} outcome
   */
  #answered(channel, outcome) {
    if (this.#subscriptions.get(channel) !== 'asked') return;
    this.#subscriptions.set(channel, outcome);
    if (this.isSettled) this.#awaitAnswers();
    else if (channel === this.#alone) this.#askAgain();
  }

  #awaitAnswers() {
    if (this.isSettled) {
      this.#alone = '';
      this.#unanswered.clear();
      this.#listeners.settled();
    } else if (this.#unanswered.at === null) {
      this.#unanswered.set(this.#timings.answerTimeout, () => this.#askAgain());
    }
  }

  /** Asks again for one subscription and, when that is answered, for the next: a refusal is then its own. */
  #askAgain() {
    const [channel] = this.#asked();
    if (channel === undefined) return;
    this.#alone = channel;
    this.#send({ action: 'subscribe', channel });
    this.#unanswered.set(this.#timings.answerTimeout, () => this.#askAgain());
  }

  #asked() {
    return [...this.#subscriptions.keys()].filter((channel) => this.#subscriptions.get(channel) === 'asked');
  }
}
