/**
 * Orders two cursors of one channel (`{number}.{opaque}`, docs/protocol.md): below 0 if `a` belongs to the older view.
 * Equal numbers may still be two views: a rate decays without a record.
 * @param {string} a
 * @param {string} b
 */
export function compare(a, b) {
  const [left, right] = [number(a), number(b)];
  // As text: 64 bits do not fit into a number.
  return left.length - right.length || (left < right ? -1 : Number(left > right));
}

/** @param {string} cursor */
function number(cursor) {
  return cursor.split('.', 1)[0].replace(/^0+(?=\d)/, '');
}

/** @typedef {import('./livefold.js').View} View */

/**
 * Where a view comes from: the socket that brought it, or when it was asked for over REST (milliseconds since 1970).
 * @typedef {object | number} Origin
 */

/**
 * @typedef {object} Entry
 * @property {View} view
 * @property {Origin} origin
 * @property {number} seenAt
 * @property {boolean} isStale
 */

/** The views that were shown last, by channel. Drops what is older than that. */
export class Shown {
  /** Twice as many as `campaigns` ever shows; the channel that moved longest ago goes first. */
  static LIMIT = 1000;

  /** @type {Map<string, Entry>} */
  #entries = new Map();

  /**
   * Takes in a view; false if a newer one was shown already.
   * @param {View} view
   * @param {Origin} origin
   * @param {number} now
   */
  take(view, origin, now) {
    const entry = this.#entries.get(view.channel);
    if (entry && !entry.isStale && isOlder(view, origin, entry)) return false;
    this.#entries.delete(view.channel);
    this.#entries.set(view.channel, { view, origin, seenAt: now, isStale: false });
    if (this.#entries.size > Shown.LIMIT) this.#entries.delete(this.#entries.keys().next().value ?? '');
    return true;
  }

  /** Takes the next view of each channel as it comes: a server that lost its data counts from the beginning. */
  restart() {
    for (const entry of this.#entries.values()) entry.isStale = true;
  }

  /**
   * Forgets the channels that nobody watches any more.
   * @param {(channel: string) => boolean} isWatched
   */
  retain(isWatched) {
    for (const channel of this.#entries.keys()) if (!isWatched(channel)) this.#entries.delete(channel);
  }

  /** Every view. */
  get views() {
    return [...this.#entries.values()].map((entry) => entry.view);
  }
}

/**
 * @param {View} view
 * @param {Origin} origin
 * @param {Entry} shown
 */
function isOlder(view, origin, shown) {
  const order = orderOf(view, shown.view);
  if (typeof origin === 'number') {
    // What came on the socket after the request was sent is newer, unless the answer proves otherwise.
    return order < 0 || (order === 0 && shown.view.source === 'socket' && shown.seenAt >= origin);
  }
  const isLater = Date.parse(view.timestamp) > Date.parse(shown.view.timestamp);
  const isEarlier = Date.parse(view.timestamp) < Date.parse(shown.view.timestamp);
  // The times of the server and of the answers to polling are not of one clock.
  if (shown.view.source === 'poll') return order < 0;
  if (order === 0) return isEarlier;
  // On another socket the server may count anew; then only time tells.
  return order < 0 && (origin === shown.origin || !isLater);
}

/**
 * @param {View} a
 * @param {View} b
 */
function orderOf(a, b) {
  if (a.cursor !== null && b.cursor !== null) return compare(a.cursor, b.cursor);
  // A list of campaigns has one cursor for all; a campaign then tells by its latest record how far it is.
  const [left, right] = [a, b].map((view) => Date.parse(/** @type {any} */ (view.data)?.updatedAt));
  return left < right ? -1 : Number(left > right);
}
