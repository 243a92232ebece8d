/**
 * How long things take, in milliseconds.
 * @type {Readonly<import('./livefold.js').Timings>}
 */
export const TIMINGS = Object.freeze({
  /** A handshake that takes longer has failed. A function that starts cold answers in a second. */
  connectTimeout: 10_000,

  /** A request, or the token function, that takes longer has failed. */
  requestTimeout: 10_000,

  /** A message that is not answered by then is lost; after a `ping`, so is the socket. */
  answerTimeout: 10_000,

  /**
   * After so long without a message the client asks whether anybody is there: a network that went away says nothing.
   * With `answerTimeout` it takes 70 s at most to see it.
   */
  silence: 60_000,

  /** A new socket is opened at this age, or up to a tenth sooner: not all at once. API Gateway allows two hours. */
  renewSocketAfter: 6_600_000,

  /** A new token is asked for so long before the old one ends, or in the last quarter of a shorter life. */
  renewTokenBefore: 60_000,

  /** A socket that lived so long was a good one: the next attempt to reconnect is a first one again. */
  stableAfter: 10_000,

  /** Polling begins if no socket is open by then, even if no attempt has failed yet. */
  pollAfter: 3_000,

  /**
   * So long after an outage it is asked who left `campaigns` meanwhile. The publisher looks at least once a second; who
   * leaves from then on is told by the socket.
   */
  farewellAfter: 3_000,

  /** A page that is hidden for less is not paused. */
  pauseAfter: 10_000,

  /** Reconnecting waits between nothing and this at first, twice as much after each failure … */
  backoffBase: 1_000,

  /** … up to this. */
  backoffCap: 30_000,

  /** The longest `Retry-After` that is obeyed: a mistake there must not silence a dashboard for ever. */
  longestWait: 600_000,
});
