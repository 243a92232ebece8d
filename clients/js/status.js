/** @typedef {import('./livefold.js').Status} Status */

/** Attempts that fail one after another before a client that cannot poll says that it is offline. */
const PATIENCE = 3;

/**
 * What is so.
 * @typedef {object} Facts
 * @property {'' | 'closed' | 'hidden' | 'replaced'} stopped why the client does nothing; '' while it does
 * @property {boolean} isLive a socket is open
 * @property {boolean} isRefused the token in use was refused
 * @property {boolean | null} isPolled whether REST answers; `null` if that is not known
 * @property {boolean} isOffline the browser knows that there is no network
 * @property {boolean} isFirst no socket was ever open, and no attempt has failed
 * @property {number} failures
 */

/**
 * What to tell people of it.
 * @param {Facts} facts
 * @returns {Status}
 */
export function statusOf({ stopped, isLive, isRefused, isPolled, isOffline, isFirst, failures }) {
  if (stopped === 'replaced') return 'replaced';
  if (stopped !== '') return 'offline';
  if (isLive) return 'live';
  if (isRefused) return 'unauthorized';
  if (isPolled === true) return 'polling';
  if (isOffline || isPolled === false || failures >= PATIENCE) return 'offline';
  return isFirst ? 'connecting' : 'reconnecting';
}
