import { byId, write } from './dom.js';
import { ago } from './format.js';

const WORDS = {
  connecting: 'Connecting',
  live: 'Live',
  polling: 'Polling',
  reconnecting: 'Reconnecting',
  offline: 'Offline',
  unauthorized: 'No access',
  replaced: 'Opened elsewhere',
};

/** A status is read out only when it has lasted so long, in milliseconds: one that flaps is not to babble. */
const LASTING = 1_200;

/** The pill: how the page is connected, and how old its numbers are. */
export class StatusPill {
  #pill = byId('status');
  #word = byId('status-text');
  #updated = byId('updated');
  #announcer = byId('announcer');
  #later = 0;
  #said = '';
  #live = null;
  #shownAt = 0;

  constructor() {
    setInterval(() => this.#tick(), 1000);
  }

  /** @param {import('/clients/js/livefold.js').Livefold} live */
  follow(live) {
    this.#live = live;
    this.show(live.status);
    live.on('status', ({ status }) => this.show(status));
  }

  /** @param {keyof typeof WORDS} status */
  show(status) {
    this.#pill.dataset.status = status;
    write(this.#word, WORDS[status]);
    clearTimeout(this.#later);
    this.#later = setTimeout(() => {
      if (this.#said === status) return;
      this.#said = status;
      write(this.#announcer, `Status: ${WORDS[status]}`);
    }, LASTING);
    this.#tick();
  }

  /** All that the client knows is on the screen: it is as old as what the client heard last. */
  updated() {
    const isFirst = this.#shownAt === 0;
    this.#shownAt = this.#live?.lastUpdate?.getTime() ?? this.#shownAt;
    if (isFirst) this.#tick();
  }

  /** @param {string} text for screen readers */
  announce(text) {
    // A node of its own: the same words twice are read out twice.
    this.#announcer.replaceChildren(text);
  }

  #tick() {
    const age = this.#shownAt ? `updated ${ago(Date.now() - this.#shownAt)}` : '';
    const retryAt = this.#live?.status === 'live' ? null : this.#live?.retryAt;
    const wait = retryAt ? Math.ceil((retryAt - Date.now()) / 1000) : 0;
    // While the page polls, its numbers are good: when the socket is tried again is nobody's concern.
    const isWaiting = wait > 0 && this.#live?.status !== 'polling';
    write(this.#updated, [age, isWaiting ? `again in ${wait} s` : ''].filter(Boolean).join(' · '));
  }
}
