/** @typedef {(value: any) => void} Handler */

/** Who wants to be told, by name. */
export class Handlers {
  /** @type {Map<string, Set<Handler>>} */
  #byName = new Map();

  /** The names that somebody asked for. */
  get names() {
    return [...this.#byName.keys()];
  }

  /** @param {string} name */
  has(name) {
    return this.#byName.has(name);
  }

  /**
   * @param {string} name
   * @param {Handler} handler
   */
  holds(name, handler) {
    return this.#byName.get(name)?.has(handler) ?? false;
  }

  /**
   * @param {string} name
   * @param {Handler} handler
   */
  add(name, handler) {
    if (typeof handler !== 'function') throw new TypeError('a handler is a function');
    const handlers = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, handlers.add(handler));
  }

  /**
   * Removes a handler, or all of a name.
   * @param {string} name
   * @param {Handler} [handler]
   */
  remove(name, handler) {
    const handlers = this.#byName.get(name);
    if (handler) handlers?.delete(handler);
    if (!handler || handlers?.size === 0) this.#byName.delete(name);
  }

  clear() {
    this.#byName.clear();
  }

  /**
   * @param {string} name
   * @param {unknown} value
   */
  tell(name, value) {
    for (const handler of [...(this.#byName.get(name) ?? [])]) call(handler, value);
  }
}

/**
 * Calls a handler. What it throws is nobody's here, and must not keep others from being told: it is thrown again where
 * the page or process sees it as uncaught, as events do.
 * @param {Handler} handler
 * @param {unknown} value
 */
export function call(handler, value) {
  try {
    handler(value);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
