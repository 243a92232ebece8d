/** A connection that is back so soon was not gone, to the viewer; in milliseconds. */
const SHORT = 1_500;

/** Errors that the client tells for the outage that its status tells too. */
const OF_THE_CONNECTION = new Set([
  'closed',
  'socket_lost',
  'refused',
  'timeout',
  'unreachable',
  'invalid_answer',
  'unauthorized',
  'forbidden',
  'token_expired',
  'revoked',
  'token_unavailable',
  'replaced',
]);

/** Says what is wrong with the connection, and what to do. */
export class Problems {
  #notices;
  #tokens;
  #live;
  #soon = 0;
  /** The channels that there is a notice about. @type {Set<string>} */
  #refused = new Set();

  /**
   * @param {import('./notices.js').Notices} notices
   * @param {import('./token.js').TokenSource} tokens
   * @param {import('/clients/js/livefold.js').Livefold} live
   */
  constructor(notices, tokens, live) {
    this.#notices = notices;
    this.#tokens = tokens;
    this.#live = live;
    live.on('message', ({ type, channel }) => {
      if (type !== 'error' && this.#refused.has(channel)) this.#clearChannel(channel);
    });
  }

  /** @param {import('/clients/js/livefold.js').StatusChange} change */
  status({ status, reason }) {
    clearTimeout(this.#soon);
    // A new socket asks for every channel anew; and where the token is refused, that says it all.
    if (status === 'live' || status === 'unauthorized') this.#clearChannels();
    if (status === 'live') {
      this.#notices.clear('connection');
      this.#notices.clear('error');
      return;
    }
    if (status === 'connecting') return;
    const say = () => this.#notices.show('connection', this.#about(status, reason));
    if (status === 'unauthorized' || status === 'replaced') say();
    else this.#soon = setTimeout(say, SHORT);
  }

  /** @param {import('/clients/js/livefold.js').LivefoldError} error */
  error({ code, message, help, channel }) {
    if (channel && (code === 'forbidden' || code === 'internal')) {
      if (this.#live.status === 'unauthorized') return;
      this.#refused.add(channel);
      this.#notices.show(`channel ${channel}`, this.#aboutChannel(code, channel));
      return;
    }
    if (OF_THE_CONNECTION.has(code)) return;
    if (code === 'not_found' && channel?.startsWith('event:')) return; // The page itself says so.
    const isSlow = code === 'rate_limited';
    this.#notices.show('error', {
      kind: isSlow ? 'warning' : 'error',
      title: isSlow ? 'Too many requests' : message,
      text: help || 'It is tried again by itself. If it lasts, tell whoever runs Livefold.',
      isPassing: true,
    });
  }

  #clearChannel(channel) {
    this.#refused.delete(channel);
    this.#notices.clear(`channel ${channel}`);
  }

  #clearChannels() {
    for (const channel of this.#refused) this.#clearChannel(channel);
  }

  get #tryNow() {
    return { label: 'Try now', run: () => this.#live.reconnect() };
  }

  get #enterToken() {
    const ask = () =>
      this.#tokens.ask('The new token takes the place of the one that is in use.', () => {
        this.#clearChannels();
        this.#live.reconnect();
      });
    return { label: 'Enter a token', run: ask };
  }

  get #freshToken() {
    return {
      label: 'Use a local token',
      run: () => {
        this.#tokens.forget();
        this.#live.reconnect();
      },
    };
  }

  /**
   * @param {import('/clients/js/livefold.js').Status} status
   * @param {string | null} reason
   * @returns {import('./notices.js').Notice}
   */
  #about(status, reason) {
    if (status === 'unauthorized') return this.#aboutToken(reason);
    if (status === 'replaced') {
      return {
        kind: 'info',
        title: 'Opened elsewhere',
        text:
          'You have opened as many dashboards as are allowed, and this one had been idle for longest. ' +
          'The numbers below are the last that came.',
        actions: [{ label: 'Come back', run: () => this.#live.reconnect() }],
      };
    }
    if (status === 'polling') {
      return {
        kind: 'info',
        title: 'Numbers come every two seconds',
        text:
          reason === 'too_many_connections'
            ? 'You have as many live connections as are allowed. Close another dashboard, and this one goes live by itself.'
            : 'No live connection can be had, so the page asks instead. It goes live by itself when it can. ' +
              'If this stays, a proxy or firewall may not let WebSockets through: ask whoever runs the network.',
        actions: [this.#tryNow],
      };
    }
    if (status === 'reconnecting') {
      return {
        kind: 'warning',
        title: 'The connection was lost',
        text: 'The numbers below are the last that came. Nothing to do: the page connects again by itself.',
        actions: [this.#tryNow],
      };
    }
    return {
      kind: 'error',
      title: navigator.onLine === false ? 'This device is offline' : 'Livefold cannot be reached',
      text: `The numbers below are the last that came. ${
        navigator.onLine === false
          ? 'Check its network connection; the page goes on by itself.'
          : `Check your network${this.#tokens.hasUrl ? ', and that “cargo dev” still runs' : ''}. The page tries again by itself.`
      }`,
      // The local system may give no token, and still take one.
      actions: reason === 'token_unavailable' ? [this.#tryNow, this.#enterToken] : [this.#tryNow],
    };
  }

  /**
   * @param {string} code
   * @param {string} channel
   * @returns {import('./notices.js').Notice}
   */
  #aboutChannel(code, channel) {
    const name = nameOf(channel);
    if (code === 'internal') {
      return {
        kind: 'error',
        title: `Livefold cannot show ${name} at the moment`,
        text: 'A mistake on the server, whose log has more. It is tried again by itself; if it lasts, tell whoever runs Livefold.',
        isPassing: true,
      };
    }
    return {
      kind: 'error',
      title: `This token does not open ${name}`,
      text: `Ask whoever gave it to you for one that opens the channel ${channel}, and enter it here.`,
      actions: [this.#enterToken],
      isPassing: true,
    };
  }

  /** @param {string | null} reason */
  #aboutToken(reason) {
    const isForbidden = reason === 'forbidden';
    const isOver = reason === 'token_expired' || reason === 'revoked';
    const actions = [this.#enterToken];
    if (this.#tokens.isEntered && this.#tokens.hasUrl) actions.push(this.#freshToken);
    else actions.push(this.#tryNow);
    return {
      kind: 'error',
      title: isForbidden ? 'The token does not permit this' : isOver ? 'The token has ended' : 'The token was refused',
      text: isForbidden
        ? 'It must hold the permission dashboard:read:live. Ask whoever gave it to you for one that does, and enter it here.'
        : 'Get a new one from whoever gave you this one (locally: “cargo dev token”), and enter it here.',
      actions,
    };
  }
}

/** What a channel shows, in the viewer's words. @param {string} channel */
function nameOf(channel) {
  if (channel === 'campaigns') return 'the list of campaigns';
  if (channel === 'system') return 'the health of the system';
  const [kind, ...id] = channel.split(':');
  return ['campaign', 'event'].includes(kind) ? `the ${kind} ${id.join(':')}` : channel;
}
