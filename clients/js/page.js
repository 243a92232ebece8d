/**
 * @typedef {object} Listeners
 * @property {() => void} shown
 * @property {() => void} hidden
 * @property {() => void} online
 * @property {() => void} offline
 */

/** What a browser tells about its page and network. In Node there is nothing to tell. */
export class Page {
  #window;
  /** @type {Array<[EventTarget, string, () => void]>} */
  #listening = [];

  /**
   * @param {any} window a browser's, or anything else
   * @param {Listeners} listeners
   */
  constructor(window, { shown, hidden, online, offline }) {
    this.#window = window;
    this.#listen(window.document, 'visibilitychange', () => (this.isHidden ? hidden() : shown()));
    this.#listen(window, 'online', online);
    this.#listen(window, 'offline', offline);
  }

  get isHidden() {
    return this.#window.document?.visibilityState === 'hidden';
  }

  /** Whether the browser knows that there is no network. */
  get isOffline() {
    return this.#window.navigator?.onLine === false;
  }

  close() {
    for (const [target, type, work] of this.#listening) target.removeEventListener(type, work);
    this.#listening = [];
  }

  /**
   * @param {any} target
   * @param {string} type
   * @param {() => void} work
   */
  #listen(target, type, work) {
    if (typeof target?.addEventListener !== 'function') return;
    target.addEventListener(type, work);
    this.#listening.push([target, type, work]);
  }
}
