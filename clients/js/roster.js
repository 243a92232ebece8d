/** The campaigns that `campaigns` shows, so that it can be told when one left. */
export class Roster {
  /** Twice as many as the server shows; beyond it nobody is told of the first ones. */
  static LIMIT = 1000;

  /** @type {Map<string, number>} Each with when it was last seen to be shown. */
  #ids = new Map();

  /**
   * Takes in a campaign's view; whether it is of interest to those who watch `campaigns`: it is active or paused, or has
   * calls going on, or did so until now.
   * @param {string} id
   * @param {{ status?: unknown, activeCalls?: unknown }} campaign
   * @param {number} now
   */
  note(id, { status = 'active', activeCalls }, now) {
    const isShown = status === 'active' || status === 'paused' || Number(activeCalls) > 0;
    if (!isShown) return this.#ids.delete(id);
    this.#ids.set(id, now);
    if (this.#ids.size > Roster.LIMIT) this.#ids.delete(this.#ids.keys().next().value ?? '');
    return true;
  }

  /** @param {string} id */
  has(id) {
    return this.#ids.has(id);
  }

  get isEmpty() {
    return this.#ids.size === 0;
  }

  /**
   * Takes in the list of all campaigns that are shown; the ids of those that are no longer on it. One that was seen since the
   * list was asked for may have come too late for it.
   * @param {Iterable<string>} listed
   * @param {number} askedAt
   */
  leave(listed, askedAt) {
    const here = new Set(listed);
    const left = [...this.#ids].filter(([id, seenAt]) => !here.has(id) && seenAt < askedAt).map(([id]) => id);
    for (const id of left) this.#ids.delete(id);
    return left;
  }

  clear() {
    this.#ids.clear();
  }
}
