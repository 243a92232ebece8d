import { systemClock } from './clock.js';
import { TIMINGS } from './timings.js';

/** API Gateway ends an idle connection after ten minutes; half of that leaves room for one miss. In milliseconds. */
const HEARTBEAT = 300_000;

/** In milliseconds: what people still take for live. */
const POLL_INTERVAL = 2_000;

/**
 * Checks the options, and puts what is usual where nothing was said.
 * @param {import('./livefold.js').Options} options
 */
export function complete(options) {
  const { url, token, rest = null, WebSocket = globalThis.WebSocket } = options;
  if (!/^wss?:$/.test(new URL(url).protocol)) throw new TypeError('url begins with wss:// or ws://');
  if (typeof token !== 'function' && (typeof token !== 'string' || token === '')) {
    throw new TypeError('token is a string, or a function that gives one');
  }
  if (!WebSocket && !rest) throw new TypeError('there is no WebSocket here: pass one, or rest for polling');
  return {
    url,
    rest,
    token,
    WebSocket,
    // Called as a method of anything else, a browser's fetch throws.
    fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
    pauseWhenHidden: options.pauseWhenHidden ?? false,
    pollInterval: options.pollInterval ?? POLL_INTERVAL,
    heartbeat: options.heartbeat ?? HEARTBEAT,
    timings: { ...TIMINGS, ...options.timings },
    random: options.random ?? Math.random,
    clock: options.clock ?? systemClock,
    window: options.window ?? globalThis,
  };
}
