/** Time as the client sees it. Tests bring their own. */

/**
 * @typedef {object} Clock
 * @property {() => number} now milliseconds since 1970
 * @property {(work: () => void, milliseconds: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

/**
 * The longest that a timer waits, in milliseconds: the largest number that `setTimeout` takes, which fires at once when
 * given more. A token may be good for a year.
 */
const LONGEST = 2 ** 31 - 1;

/** @type {Clock} */
export const systemClock = {
  now: () => Date.now(),
  setTimeout: (work, milliseconds) => globalThis.setTimeout(work, milliseconds),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
};

/** One thing to be done later. Setting it anew replaces what was set. */
export class Alarm {
  #clock;
  /** @type {unknown} */
  #timer;
  /** @type {number | null} */
  #at = null;

  /** @param {Clock} clock */
  constructor(clock) {
    this.#clock = clock;
  }

  /** When it goes off, in milliseconds since 1970; `null` while it is not set. */
  get at() {
    return this.#at;
  }

  /**
   * @param {number} milliseconds
   * @param {() => void} work
   */
  set(milliseconds, work) {
    this.clear();
    const delay = Math.min(Math.max(milliseconds, 0), LONGEST);
    this.#at = this.#clock.now() + delay;
    this.#timer = this.#clock.setTimeout(() => {
      this.#at = null;
      work();
    }, delay);
  }

  clear() {
    if (this.#at === null) return;
    this.#clock.clearTimeout(this.#timer);
    this.#at = null;
  }
}

/**
 * A promise that fails if the work takes too long. The work itself is not stopped.
 * @template T
 * @param {Promise<T>} work
 * @param {number} milliseconds
 * @param {Clock} clock
 * @param {() => Error} late
 * @returns {Promise<T>}
 */
export function within(work, milliseconds, clock, late) {
  return new Promise((resolve, reject) => {
    const alarm = new Alarm(clock);
    alarm.set(milliseconds, () => reject(late()));
    work.then(resolve, reject).finally(() => alarm.clear());
  });
}
