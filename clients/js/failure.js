/** What can go wrong, and what to do about it. */

/**
 * For people who look at a dashboard. Codes of the server (docs/protocol.md) and our own.
 * @type {Readonly<Record<string, string>>}
 */
const HELP = Object.freeze({
  // Ours.
  closed: 'Make another client: this one has ended.',
  invalid_answer: 'The address may belong to something else. Check url and rest.',
  invalid_address: 'Check url, and that the token is a JWT.',
  no_rest: 'Pass rest, the address of the REST API.',
  no_websocket: 'Pass a WebSocket class: Node has one of its own from version 22 on.',
  refused: 'The user may have too many connections, or something between does not let WebSockets through.',
  socket_lost: 'Nothing to do: the client connects again.',
  timeout: 'The server does not answer. The client tries again.',
  token_unavailable: 'The token function failed. The client calls it again.',
  unreachable: 'Check the network. The client tries again.',
  // The server's.
  forbidden: 'Sign in as somebody who may see this.',
  internal: 'A mistake on the server, whose log has more. The client tries again.',
  invalid_request: 'The server did not understand. Check that client and server fit.',
  invalid_message: 'The server did not understand. Check that client and server fit.',
  message_too_large: 'Use a shorter name.',
  method_not_allowed: 'Check the address that rest has.',
  not_found: 'Check the name: nothing has been heard of it.',
  origin_missing: 'A token in a cookie needs the page\'s Origin beside it, which browsers send: use a ticket or a header elsewhere.',
  origin_not_allowed: 'Let the deployment allow the origin of this page.',
  rate_limited: 'The client slows down. Open fewer dashboards if this stays.',
  replaced: 'Opened elsewhere: the user has as many connections as are allowed. reconnect() comes back.',
  revoked: 'The access was withdrawn. Sign in again.',
  token_expired: 'Sign in again.',
  too_many_connections: 'Close another dashboard.',
  too_many_subscriptions: 'Unsubscribe from a channel, or watch campaigns instead.',
  unauthorized: 'Sign in again.',
  unavailable: 'The server cannot answer at the moment. The client tries again.',
  unknown_action: 'The server is older than the client.',
  unknown_channel: 'Channels are campaign:{id}, campaigns, system and event:{id}.',
});

/** Something that went wrong. It never holds a token, a ticket or an address. */
export class Failure extends Error {
  /**
   * @param {string} code stable
   * @param {string} message
   * @param {{action?: string, channel?: string, retryAfter?: number}} [detail] `retryAfter` in milliseconds
   */
  constructor(code, message, { action, channel, retryAfter } = {}) {
    super(message);
    this.name = 'LivefoldError';
    this.code = code;
    this.action = action;
    this.channel = channel;
    this.retryAfter = retryAfter;
  }

  /** What to do about it. */
  get help() {
    return isKnown(this.code) ? HELP[this.code] : '';
  }

  /** Whether the token is at fault, and only another one helps. */
  get isOfToken() {
    return ['unauthorized', 'forbidden', 'token_expired', 'revoked'].includes(this.code);
  }

  /** Whether the same may work a little later. */
  get isPassing() {
    return ['internal', 'rate_limited', 'timeout', 'unavailable', 'unreachable'].includes(this.code);
  }
}

/**
 * Whether a code is one of Livefold's.
 * @param {unknown} code
 * @returns {code is string}
 */
export function isKnown(code) {
  return typeof code === 'string' && Object.hasOwn(HELP, code);
}

/**
 * Whatever was thrown, as a failure.
 * @param {unknown} error
 * @returns {Failure}
 */
export function asFailure(error) {
  return error instanceof Failure ? error : new Failure('unreachable', 'The server cannot be reached.');
}
