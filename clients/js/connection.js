import { Backoff } from './backoff.js';
import { Alarm } from './clock.js';
import { asFailure, Failure } from './failure.js';
import { BATCH, Socket } from './socket.js';
import { expiry } from './token.js';

/**
 * What we speak, in the order of preference. A browser that offers a subprotocol wants one to be chosen: a server that knows
 * batches chooses them, an older one the other.
 */
const SUBPROTOCOLS = [BATCH, 'livefold.v1'];

/** A token that could not be renewed is tried again after half of what is left of it, but not sooner, in milliseconds. */
const RENEWAL_PAUSE = 1_000;

/**
 * @typedef {object} Listeners
 * @property {(message: import('./livefold.js').Message, socket: Socket, isCurrent: boolean) => void} message
 * @property {(isTakeover: boolean) => void} live a socket took the place of none, or of another without a gap
 * @property {(failure: Failure) => void} lost the socket ended
 * @property {(failure: Failure) => void} replaced the socket ended for another of the same user; nothing is tried any more
 * @property {(failure: Failure) => void} failed an attempt to connect failed
 * @property {(failure: Failure) => void} trouble something else failed
 */

/** Keeps one socket open: connects, connects again, and takes over to a new one before the old one has to end. */
export class Connection {
  #setup;
  #token;
  #rest;
  #clock;
  #timings;
  #listeners;
  #backoff;
  #retry;
  #stable;
  #socketRenewal;
  #tokenRenewal;

  /** @type {Socket | null} */
  #current = null;
  /** @type {Socket | null} The one that is to be the current one soon. */
  #incoming = null;
  /** Tells the attempt that counts from those that were given up. */
  #attempt = 0;
  #isConnecting = false;
  #failures = 0;
  /** @type {Set<string>} */
  #channels = new Set();
  #hasWatched = false;
  /** @type {number | null} How far the server's clock is ahead of ours, in milliseconds; `null` before it told. */
  #skew = null;

  /**
   * @param {object} setup
   * @param {string} setup.url
   * @param {import('./token.js').Token} setup.token
   * @param {import('./rest.js').Rest | null} setup.rest
   * @param {import('./livefold.js').WebSocketClass | null | undefined} setup.WebSocket
   * @param {number} setup.heartbeat
   * @param {() => number} setup.random
   * @param {import('./clock.js').Clock} setup.clock
   * @param {import('./livefold.js').Timings} setup.timings
   * @param {Listeners} listeners
   */
  constructor(setup, listeners) {
    const { token, rest, random, clock, timings } = setup;
    this.#setup = setup;
    this.#token = token;
    this.#rest = rest;
    this.#clock = clock;
    this.#timings = timings;
    this.#listeners = listeners;
    this.#backoff = new Backoff(timings.backoffBase, timings.backoffCap, random);
    this.#retry = new Alarm(clock);
    this.#stable = new Alarm(clock);
    this.#socketRenewal = new Alarm(clock);
    this.#tokenRenewal = new Alarm(clock);
  }

  get isLive() {
    return this.#current !== null;
  }

  /** Attempts that failed since a socket was open, or since `connect` was called. */
  get failures() {
    return this.#failures;
  }

  /** When the next attempt begins, in milliseconds since 1970; `null` if none is planned. */
  get retryAt() {
    return this.#retry.at;
  }

  /** Connects now, whatever was planned. A socket that is open stays until the new one has taken over. */
  connect() {
    this.#failures = 0;
    this.#backoff.reset();
    void this.#connect();
  }

  /** Connects now, unless that is done or under way. */
  hurry() {
    if (this.isLive) this.#current?.probe();
    else if (!this.#isConnecting) this.connect();
  }

  /** Ends everything; `connect` begins anew. */
  stop() {
    this.#attempt += 1;
    this.#isConnecting = false;
    for (const alarm of [this.#retry, this.#stable, this.#socketRenewal, this.#tokenRenewal]) alarm.clear();
    for (const socket of [this.#current, this.#incoming]) socket?.close();
    this.#current = this.#incoming = null;
    this.#failures = 0;
    this.#backoff.reset();
  }

  /**
   * Watches these channels and no others.
   * @param {Iterable<string>} channels
   */
  watch(channels) {
    this.#channels = new Set(channels);
    this.#hasWatched ||= this.#channels.size > 0;
    for (const socket of [this.#current, this.#incoming]) socket?.watch(this.#channels);
  }

  /** Asks for the view of every channel again. */
  askAll() {
    this.#current?.ask(this.#channels);
  }

  /** @param {string} [given] a token that was just asked for */
  async #connect(given) {
    const attempt = (this.#attempt += 1);
    this.#retry.clear();
    this.#incoming?.close();
    this.#incoming = null;
    this.#isConnecting = true;
    try {
      const token = given ?? (await this.#token.fresh());
      if (attempt !== this.#attempt) return;
      // The server takes it for some seconds more: a connection for some seconds. Our own clock alone may be wrong.
      if (this.#skew !== null && this.#isOver(token)) throw new Failure('token_expired', 'The token has ended.');
      if (!this.#setup.WebSocket) throw new Failure('no_websocket', 'There is no WebSocket here.');
      if (this.#token.refusal) throw new Failure(this.#token.refusal, 'The token is still the one that was refused.');
      const ticket = await this.#ticket(token);
      if (attempt === this.#attempt) this.#open(this.#setup.WebSocket, token, ticket);
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(asFailure(error));
    }
  }

  /**
   * A ticket, or `null` where there is none to be had: the token itself then opens the socket.
   * @param {string} token
   */
  async #ticket(token) {
    if (!this.#rest) return null;
    try {
      return await this.#rest.ticket(token);
    } catch (error) {
      const failure = asFailure(error);
      if (failure.isOfToken || ['rate_limited', 'too_many_connections'].includes(failure.code)) throw failure;
      // The socket has another address, and may be had while REST is not.
      return null;
    }
  }

  /**
   * @param {import('./livefold.js').WebSocketClass} WebSocket
   * @param {string} token
   * @param {string | null} ticket
   */
  #open(WebSocket, token, ticket) {
    const url = new URL(this.#setup.url);
    if (ticket !== null) url.searchParams.set('ticket', ticket);
    const protocols = ticket !== null ? SUBPROTOCOLS : [...SUBPROTOCOLS, `bearer.${token}`];
    const isQuiet = this.#hasWatched;
    /** @type {Socket} */
    const socket = new Socket({ ...this.#setup, WebSocket, url: url.href, protocols, token, isQuiet }, {
      // While another is still there, the new one takes over only when it has its subscriptions.
      open: () => this.isLive || this.#takeOver(socket),
      settled: () => socket === this.#incoming && this.#takeOver(socket),
      message: (message) => this.#heard(message, socket),
      trouble: (failure) => this.#listeners.trouble(failure),
      end: (failure) => (socket === this.#current ? this.#lost(failure, socket) : this.#refused(failure, token, ticket)),
    });
    this.#incoming = socket;
    socket.watch(this.#channels);
  }

  /** @param {Socket} socket */
  #takeOver(socket) {
    const before = this.#current;
    this.#current = socket;
    this.#incoming = null;
    this.#isConnecting = false;
    before?.close();
    this.#stable.set(this.#timings.stableAfter, () => this.#backoff.reset());
    const age = this.#timings.renewSocketAfter * (1 - this.#setup.random() / 10);
    this.#socketRenewal.set(age, () => void this.#connect());
    this.#tokenRenewal.clear();
    this.#listeners.live(before !== null);
  }

  /**
   * @param {import('./livefold.js').Message} message
   * @param {Socket} socket
   */
  #heard(message, socket) {
    const sentAt = Date.parse(message.timestamp);
    if (!Number.isNaN(sentAt)) this.#skew = sentAt - this.#clock.now();
    // The first message tells the server's clock, and with it how long the token holds.
    const isCurrent = socket === this.#current;
    if (isCurrent && this.#tokenRenewal.at === null) this.#planRenewal(socket, expiry(socket.token));
    this.#listeners.message(message, socket, isCurrent);
  }

  /**
   * The current socket ended.
   * @param {Failure} failure
   * @param {Socket} socket
   */
  #lost(failure, socket) {
    this.#current = null;
    this.#failures = 0;
    for (const alarm of [this.#stable, this.#socketRenewal, this.#tokenRenewal]) alarm.clear();
    // A token that merely ended may have a successor; the next attempt tells.
    if (failure.code === 'revoked') this.#token.refuse(socket.token, failure.code);
    if (this.#incoming?.isOpen) {
      this.#takeOver(this.#incoming);
      return;
    }
    // While the next one is on its way, it is our own newcomer that took the place.
    if (failure.code === 'replaced' && !this.#isConnecting) {
      this.stop();
      this.#listeners.replaced(failure);
      return;
    }
    if (!this.#isConnecting) this.#retryAfter(failure);
    this.#listeners.lost(failure);
  }

  /**
   * A socket ended before it was the current one.
   * @param {Failure} failure
   * @param {string} token
   * @param {string | null} ticket
   */
  async #refused(failure, token, ticket) {
    const attempt = this.#attempt;
    this.#incoming = null;
    // No handshake says why it was refused. Whoever got a ticket has a good token.
    const reason = failure.code === 'refused' && ticket === null ? await this.#reason(failure, token) : failure;
    if (attempt === this.#attempt) this.#failed(reason);
  }

  /**
   * Why the server does not accept the token's socket.
   * @param {Failure} failure
   * @param {string} token
   */
  async #reason(failure, token) {
    if (!this.#rest) {
      return this.#isOver(token) ? new Failure('token_expired', 'The token has ended.') : failure;
    }
    try {
      await this.#rest.channel('system', token);
      return failure;
    } catch (error) {
      const reason = asFailure(error);
      return reason.isOfToken || reason.code === 'rate_limited' ? reason : failure;
    }
  }

  /** @param {Failure} failure */
  #failed(failure) {
    this.#isConnecting = false;
    this.#failures += 1;
    if (failure.isOfToken) this.#token.refuse(this.#token.current, failure.code);
    this.#retryAfter(failure);
    this.#listeners.failed(failure);
  }

  /** @param {Failure} failure */
  #retryAfter(failure) {
    const wait = Math.max(this.#backoff.next(), failure.retryAfter ?? 0);
    // Nothing but `connect` helps a token that was refused and will never be another.
    const isHopeless = this.#token.refusal !== '' && this.#token.isFixed;
    if (!isHopeless) this.#retry.set(wait, () => void this.#connect());
  }

  /** What the server's clock shows. */
  #now() {
    return this.#clock.now() + (this.#skew ?? 0);
  }

  /**
   * Whether a token has ended.
   * @param {string} token
   */
  #isOver(token) {
    const end = expiry(token);
    return end !== null && end <= this.#now();
  }

  /**
   * @param {Socket} socket
   * @param {number | null} end of its token
   */
  #planRenewal(socket, end) {
    if (end === null) return;
    const life = end - this.#now();
    const lead = Math.min(this.#timings.renewTokenBefore, life / 4);
    const isRenewable = !this.#token.isFixed;
    this.#tokenRenewal.set(isRenewable ? life - lead : life, () => void this.#renew(socket, end));
  }

  /**
   * @param {Socket} socket
   * @param {number} end
   */
  async #renew(socket, end) {
    const left = end - this.#now();
    if (left <= 0) {
      // The server may just have fallen silent.
      socket.fail(new Failure('token_expired', 'The token has ended.'));
      return;
    }
    // Planned before anything is tried: whatever comes of it, the token's end is not missed.
    this.#tokenRenewal.set(Math.min(left, Math.max(left / 2, RENEWAL_PAUSE)), () => void this.#renew(socket, end));
    if (this.#token.isFixed) return;
    let token;
    try {
      token = await this.#token.fresh();
      if (socket !== this.#current || token === socket.token) return;
      const answer = await socket.authenticate(token);
      const renewed = Date.parse(String(/** @type {any} */ (answer.data)?.expiresAt));
      if (socket === this.#current) this.#planRenewal(socket, Number.isNaN(renewed) ? expiry(token) : renewed);
    } catch (error) {
      if (socket !== this.#current) return;
      const failure = asFailure(error);
      if (failure.code === 'token_unavailable') this.#listeners.trouble(failure);
      // A server that does not renew, or not this token: a new handshake does, or says why not.
      else void this.#connect(token);
    }
  }
}
