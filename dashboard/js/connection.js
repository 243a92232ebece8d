import { Livefold } from '/clients/js/livefold.js';
import { Problems } from './problems.js';
import { TokenSource } from './token.js';

const CONFIG = 'config.json';

/**
 * Milliseconds between two looks at everything while live. What a socket could not deliver is not sent again before it
 * changes; and a campaign that was paused before its first view was sent is told of to nobody.
 */
const REVIEW = 30_000;

/** Milliseconds before the configuration is asked for again. */
const AGAIN = 3_000;

/** An answer that has not come after this many milliseconds does not come any more. */
const PATIENCE = 8_000;

/**
 * Connects the page: reads where Livefold is, gets a token, and makes the client.
 * @param {object} page
 * @param {import('./notices.js').Notices} page.notices
 * @param {import('./status.js').StatusPill} page.status
 * @param {(live: Livefold) => void} page.onClient the client is there, and connects; it is made once
 */
export async function connect({ notices, status, onClient }) {
  const config = await readConfig(notices, status);
  notices.clear('config');
  const tokens = new TokenSource(config.tokenUrl);
  const begin = () => {
    const live = new Livefold({ url: config.url, rest: config.rest, token: () => tokens.token() });
    const problems = new Problems(notices, tokens, live);
    status.follow(live);
    live.on('status', (change) => problems.status(change));
    live.on('error', (error) => problems.error(error));
    onClient(live);
    setInterval(() => {
      if (live.status === 'live' && !document.hidden) void live.refresh();
    }, REVIEW);
  };
  if (tokens.isReady) {
    begin();
    return;
  }
  const ask = () =>
    tokens.ask('Livefold shows your numbers to whoever has a token for them.', () => {
      notices.clear('token');
      begin();
    });
  status.show('unauthorized');
  notices.show('token', {
    kind: 'info',
    title: 'A token is needed',
    text: 'Enter the token that you were given, one that permits dashboard:read:live.',
    actions: [{ label: 'Enter a token', run: ask }],
  });
  ask();
}

/** Until it is there: without it nothing can be shown. */
async function readConfig(notices, status) {
  for (;;) {
    try {
      const answer = await fetch(CONFIG, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
      if (!answer.ok) throw new Error(`${CONFIG} answers ${answer.status}`);
      const config = await answer.json();
      if (!isUrl(config.url, /^wss?:$/) || !isUrl(config.rest, /^https?:$/))
        throw new Error(`${CONFIG} lacks url or rest`);
      return config;
    } catch (error) {
      status.show('offline');
      notices.show('config', {
        kind: 'error',
        title: 'The page does not know where Livefold is',
        text:
          `${error.message}. Locally, start the system with “cargo dev”. On AWS, write config.json as the stack's outputs say. ` +
          'The page tries again by itself.',
      });
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
}

/** @param {unknown} text @param {RegExp} protocol */
function isUrl(text, protocol) {
  return typeof text === 'string' && URL.canParse(text) && protocol.test(new URL(text).protocol);
}
