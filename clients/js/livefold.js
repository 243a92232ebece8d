import { CAMPAIGN, typeOf } from './channel.js';
import { Alarm } from './clock.js';
import { Connection } from './connection.js';
import { Shown } from './cursor.js';
import { call, Handlers } from './handlers.js';
import { complete } from './options.js';
import { Overview } from './overview.js';
import { Page } from './page.js';
import { Past } from './past.js';
import { Poller } from './poller.js';
import { Rest } from './rest.js';
import { statusOf } from './status.js';
import { Token } from './token.js';

/**
 * @typedef {import('./failure.js').Failure} Failure
 * @typedef {import('./livefold.js').Message} Message
 * @typedef {import('./livefold.js').Status} Status
 * @typedef {import('./livefold.js').View} View
 */

const EVENTS = ['status', 'error', 'message', 'notice'];

/** Messages about what happened, beside the views. */
const NOTICES = ['call_event', 'campaign_status_change'];

/** Shows channels as they move: over a socket, and by polling where none can be had. */
export class Livefold {
  #clock;
  #token;
  #timings;
  #connection;
  /** @type {Poller | null} */
  #poller = null;
  #page;
  #pauseWhenHidden;
  #pause;
  #pollSoon;
  #shown = new Shown();
  #overview;
  #past;
  #channels = new Handlers();
  #events = new Handlers();

  /** @type {Status} */
  #status = 'connecting';
  /** @type {string | null} Why it is not live. */
  #reason = null;
  /** @type {'' | 'closed' | 'hidden' | 'replaced'} Why the client does nothing: '' while it does. */
  #stopped = '';
  #hasLived = false;
  #isTelling = false;
  /** What was told last of an outage, so that each attempt that fails in the same way is not told again. */
  #outage = '';
  /** @type {number | null} */
  #updatedAt = null;

  /** @param {import('./livefold.js').Options} options */
  constructor(options) {
    const { url, rest, token, fetch, pauseWhenHidden, pollInterval, clock, timings, window, ...others } = complete(options);
    this.#clock = clock;
    this.#timings = timings;
    this.#pauseWhenHidden = pauseWhenHidden;
    this.#pause = new Alarm(clock);
    this.#pollSoon = new Alarm(clock);
    this.#token = new Token(token, clock, timings.requestTimeout);
    const shared = { ...others, clock, timings, token: this.#token };
    const api = rest ? new Rest(rest, fetch, clock, timings) : null;
    if (api) {
      this.#poller = new Poller({ ...shared, rest: api, pollInterval }, {
        channels: () => this.#channels.names,
        answer: (channel, answer, askedAt) => this.#polled(channel, answer, askedAt),
        trouble: (failure) => this.#pollFailed(failure),
        changed: () => this.#assess(),
      });
    }
    this.#past = new Past({ rest: api, token: this.#token });
    this.#overview = new Overview(shared, {
      isWatched: () => this.#channels.has('campaigns'),
      look: async (channel) => this.#poller?.look(channel),
      show: (view, askedAt) => this.#show(view, askedAt),
      left: (view) => this.#channels.tell('campaigns', view),
    });
    this.#connection = new Connection({ ...shared, url, rest: api }, {
      message: (message, socket, isCurrent) => this.#heard(message, socket, isCurrent),
      live: (isTakeover) => this.#live(isTakeover),
      lost: (failure) => this.#lost(failure),
      replaced: (failure) => this.#replaced(failure),
      failed: (failure) => this.#failed(failure),
      trouble: (failure) => (failure.isPassing ? this.#tellOutage(failure) : this.#tellError(failure)),
    });
    this.#page = new Page(window, {
      shown: () => this.#resume(),
      hidden: () => this.#pauseLater(),
      online: () => this.#hurry(),
      offline: () => this.#doubt(),
    });
    this.#connection.connect();
    if (this.#page.isHidden) this.#pauseLater();
    this.#assess();
  }

  get status() {
    return this.#status;
  }

  /** When something was last shown, or found to be as it was shown. */
  get lastUpdate() {
    return this.#updatedAt === null ? null : new Date(this.#updatedAt);
  }

  /** When the next attempt to open a socket begins. */
  get retryAt() {
    const at = this.#connection.retryAt;
    return at === null ? null : new Date(at);
  }

  /**
   * @param {string} channel
   * @param {(view: any) => void} handler
   */
  subscribe(channel, handler) {
    const isNew = !this.#channels.has(channel);
    this.#channels.add(channel, handler);
    if (isNew) this.#channelsChanged();
    // Somebody else watches it already, and the server will not repeat itself for a latecomer.
    else queueMicrotask(() => this.#catchUp(channel, handler));
    return () => this.unsubscribe(channel, handler);
  }

  /**
   * @param {string} channel
   * @param {(view: any) => void} [handler]
   */
  unsubscribe(channel, handler) {
    this.#channels.remove(channel, handler);
    if (!this.#channels.has(channel)) this.#channelsChanged();
  }

  /**
   * @param {string} event
   * @param {(value: any) => void} handler
   */
  on(event, handler) {
    if (!EVENTS.includes(event)) throw new TypeError(`events are ${EVENTS.join(', ')}`);
    this.#events.add(event, handler);
    return () => this.#events.remove(event, handler);
  }

  /** Shows every channel anew; resolves with whether that could be done, and never rejects. */
  async refresh() {
    if (this.#stopped) return false;
    if (this.#poller) {
      const isDone = await this.#poller.refresh();
      this.#assess();
      return isDone;
    }
    this.#connection.askAll();
    return this.#connection.isLive;
  }

  /**
   * What a channel's numbers were, step by step; rejects with a `LivefoldError`, which is told nobody else.
   * @param {string} channel
   * @param {import('./livefold.js').HistoryRange} range
   */
  async history(channel, range) {
    return this.#past.ask(channel, range);
  }

  /** Connects now, also after the token was refused, or another took its place. A socket that is open stays until the new one has taken over. */
  reconnect() {
    if (this.#stopped === 'closed') return;
    this.#stopped = '';
    this.#token.forgive();
    this.#outage = '';
    this.#connection.connect();
    this.#assess();
  }

  /** Ends everything, for good. */
  close() {
    if (this.#stopped === 'closed') return;
    this.#page.close();
    this.#past.close();
    this.#stop('closed');
    this.#channels.clear();
    this.#shown.retain(() => false);
    this.#overview.clear();
    this.#events.clear();
  }

  /** @param {'closed' | 'hidden' | 'replaced'} reason */
  #stop(reason) {
    this.#stopped = this.#reason = reason;
    this.#pause.clear();
    this.#overview.rest();
    this.#connection.stop();
    this.#assess();
  }

  #pauseLater() {
    if (this.#pauseWhenHidden && !this.#stopped) this.#pause.set(this.#timings.pauseAfter, () => this.#stop('hidden'));
  }

  #resume() {
    this.#pause.clear();
    // Timers of a hidden page stand still: the socket may have died meanwhile.
    if (this.#stopped === 'hidden') this.reconnect();
    else this.#hurry();
  }

  /** The network went, or so the browser says. */
  #doubt() {
    if (this.#connection.isLive) this.#connection.hurry();
    this.#assess();
  }

  #hurry() {
    if (this.#stopped || this.#token.refusal) return;
    this.#connection.hurry();
    this.#assess();
  }

  /** Tells the server what is watched, once for all that happens in one go: a page that redraws changes nothing. */
  #channelsChanged() {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      if (!this.#channels.has('campaigns')) this.#overview.clear();
      this.#shown.retain((channel) => this.#isWatched(channel));
      this.#connection.watch(this.#channels.names);
      this.#poller?.hurry();
      this.#assess();
    });
  }

  /** @param {string} channel */
  #isWatched(channel) {
    return this.#channels.has(channel) || (channel.startsWith(CAMPAIGN) && this.#channels.has('campaigns'));
  }

  /**
   * @param {string} channel
   * @param {(view: View) => void} handler
   */
  #catchUp(channel, handler) {
    for (const view of this.#shown.views) {
      const isFor = view.channel === channel || (channel === 'campaigns' && this.#overview.has(view.channel));
      if (isFor && this.#channels.holds(channel, handler)) call(handler, view);
    }
  }

  /** @param {boolean} isTakeover */
  #live(isTakeover) {
    const isReturn = this.#hasLived && !isTakeover;
    this.#hasLived = true;
    this.#outage = '';
    this.#reason = null;
    if (!isTakeover) this.#shown.restart();
    this.#assess();
    if (isReturn) this.#overview.lookLater();
  }

  /** @param {Failure} failure */
  #lost(failure) {
    this.#reason = failure.code;
    this.#overview.rest();
    this.#shown.restart();
    this.#assess();
  }

  /**
   * Its place is another's now. Whoever came back by itself would push out the next, and that one the next.
   * @param {Failure} failure
   */
  #replaced(failure) {
    this.#tellError(failure);
    this.#stop('replaced');
  }

  /** @param {Failure} failure */
  #failed(failure) {
    this.#reason = failure.code;
    this.#tellOutage(failure);
    this.#assess();
  }

  /** @param {Failure} failure */
  #pollFailed(failure) {
    // Whoever answers after an outage may count anew.
    if (failure.code === 'unreachable') this.#shown.restart();
    if (!this.#connection.isLive) this.#reason = failure.code;
    this.#tellOutage(failure);
  }

  /**
   * @param {Message} message
   * @param {object} socket
   * @param {boolean} isCurrent
   */
  #heard(message, socket, isCurrent) {
    const isNotice = NOTICES.includes(message.type);
    // Two sockets may be open for a moment. Views are told apart by their cursors; the rest is told once.
    if (isCurrent) this.#events.tell('message', message);
    if (isCurrent && isNotice) this.#events.tell('notice', message);
    const { type, channel, data, timestamp, cursor } = message;
    if (isNotice || channel === undefined || data === undefined || !this.#isWatched(channel)) return;
    this.#show({ channel, type, data, timestamp, cursor: cursor ?? null, source: 'socket' }, socket);
  }

  /**
   * @param {string} channel
   * @param {import('./rest.js').Answer | null} answer
   * @param {number} askedAt
   */
  #polled(channel, answer, askedAt) {
    if (!this.#channels.has(channel)) return;
    this.#updatedAt = this.#clock.now();
    if (!answer) return;
    const { data, timestamp, cursor } = answer;
    if (channel !== 'campaigns' || !Array.isArray(data)) {
      this.#show({ channel, type: typeOf(channel), data, timestamp, cursor, source: 'poll' }, askedAt);
      return;
    }
    this.#overview.list(answer, askedAt, (of) => this.#channels.has(of));
  }

  /**
   * @param {View} view
   * @param {import('./cursor.js').Origin} origin
   */
  #show(view, origin) {
    if (!this.#shown.take(view, origin, this.#clock.now())) return;
    this.#updatedAt = this.#clock.now();
    this.#channels.tell(view.channel, view);
    if (!view.channel.startsWith(CAMPAIGN) || !this.#channels.has('campaigns')) return;
    if (this.#overview.note(view)) this.#channels.tell('campaigns', view);
  }

  /** @param {Failure} failure */
  #tellOutage(failure) {
    const outage = `${failure.code} ${failure.channel}`;
    if (outage === this.#outage) return;
    this.#outage = outage;
    this.#tellError(failure);
  }

  /** @param {Failure} failure */
  #tellError({ code, message, action, channel, help }) {
    // No server repeats a token; nobody has to trust it.
    const text = this.#token.current ? message.replaceAll(this.#token.current, '…') : message;
    this.#events.tell('error', { code, message: text, action, channel, help });
  }

  /** Looks at what is so, begins or ends polling, and tells if the status is another. */
  #assess() {
    this.#attend();
    const status = statusOf({
      stopped: this.#stopped,
      isLive: this.#connection.isLive,
      isRefused: this.#token.refusal !== '',
      isPolled: this.#poller?.isAnswering ?? null,
      isOffline: this.#page.isOffline,
      isFirst: !this.#hasLived && this.#connection.failures === 0,
      failures: this.#connection.failures,
    });
    if (status === this.#status) return;
    const previous = this.#status;
    this.#status = status;
    const reason = status === 'unauthorized' ? this.#token.refusal : this.#reason;
    this.#events.tell('status', { status, previous, reason, retryAt: this.retryAt });
  }

  /** Polls while there is something to show and no socket to show it. */
  #attend() {
    const isNeeded = !this.#stopped && !this.#connection.isLive && !this.#token.refusal && this.#channels.names.length > 0;
    if (!isNeeded) {
      this.#pollSoon.clear();
      this.#poller?.stop();
    } else if (this.#connection.failures > 0) {
      this.#poller?.start();
    } else if (this.#poller && this.#pollSoon.at === null) {
      this.#pollSoon.set(this.#timings.pollAfter, () => this.#poller?.start());
    }
  }
}
