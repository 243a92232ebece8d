/** The campaigns that `campaigns` has shown as active, so that it can be told when one left. */
export class Roster {
  /** Twice as many as the server shows; beyond it nobody is told of the first ones. */
  static LIMIT = 1000;

  /** @type {Set<string>} */
  #ids = new Set();

  /**
   * Takes in a campaign's view; whether it is of interest to those who watch `campaigns`: it is active, or was so until now.
   * @param {string} id
   * @param {unknown} status
   */
  note(id, status) {
    const isActive = status === undefined || status === 'active';
    if (!isActive) return this.#ids.delete(id);
    this.#ids.add(id);
    if (this.#ids.size > Roster.LIMIT) this.#ids.delete(this.#ids.values().next().value ?? '');
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
   * Takes in the list of all active campaigns; the ids of those that are no longer on it.
   * @param {Iterable<string>} listed
   */
  leave(listed) {
    const here = new Set(listed);
    const left = [...this.#ids].filter((id) => !here.has(id));
    for (const id of left) this.#ids.delete(id);
    return left;
  }

  clear() {
    this.#ids.clear();
  }
}
