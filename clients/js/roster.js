/**
 * Whether a campaign is one that `campaigns` shows: it is active or paused, or calls are still going on. Older
 * servers list the active ones only.
 * @param {{status?: unknown, activeCalls?: unknown}} campaign
 */
export function isListed({ status, activeCalls }) {
  return status === undefined || status === 'active' || status === 'paused' || Number(activeCalls) > 0;
}

/** The campaigns that `campaigns` has shown, so that it can be told when one left. */
export class Roster {
  /** Twice as many as the server shows; beyond it nobody is told of the first ones. */
  static LIMIT = 1000;

  /** @type {Map<string, number>} Each with when it was last seen on the list. */
  #ids = new Map();

  /**
   * Takes in a campaign's view; whether it is of interest to those who watch `campaigns`: it is listed, or was so until now.
   * @param {string} id
   * @param {{status?: unknown, activeCalls?: unknown}} campaign
   * @param {number} now
   */
  note(id, campaign, now) {
    if (!isListed(campaign)) return this.#ids.delete(id);
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
   * Takes in the list of all campaigns; the ids of those that are no longer on it. One that was seen since the list was
   * asked for may have come too late for it.
   * @param {Iterable<string>} listed
   * @param {number} askedAt
   */
  leave(listed, askedAt) {
    const here = new Set(listed);
    const left = [...this.#ids].filter(([id, seenAt]) => !here.has(id) && seenAt < askedAt).map(([id]) => id);
    for (const id of left) this.#ids.delete(id);
    return left;
  }

  /** @param {string} id */
  forget(id) {
    this.#ids.delete(id);
  }

  clear() {
    this.#ids.clear();
  }
}
