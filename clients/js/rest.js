import { Alarm } from './clock.js';
import { Failure, isKnown } from './failure.js';

/**
 * A channel as REST shows it.
 * @typedef {object} Answer
 * @property {unknown} data
 * @property {string} etag
 * @property {string | null} cursor
 * @property {string} timestamp of the answer, by the server's clock where that can be read, else by ours
 */

/** What a status means where the body does not say: anything may stand between us and the server. */
const REFUSALS = new Map([
  [401, ['unauthorized', 'A valid token is needed.']],
  [403, ['forbidden', 'The token does not permit this.']],
  [404, ['not_found', 'There is nothing here.']],
  [405, ['method_not_allowed', 'The server does not allow this.']],
  [429, ['rate_limited', 'Too many requests.']],
]);

/** The REST API. */
export class Rest {
  #base;
  #fetch;
  #clock;
  #timings;

  /**
   * @param {string} base
   * @param {typeof globalThis.fetch} fetch
   * @param {import('./clock.js').Clock} clock
   * @param {import('./livefold.js').Timings} timings
   */
  constructor(base, fetch, clock, timings) {
    this.#base = base.replace(/\/+$/, '');
    this.#fetch = fetch;
    this.#clock = clock;
    this.#timings = timings;
  }

  /**
   * A ticket, good for one handshake within half a minute; `null` from a server that gives none.
   * @param {string} token
   * @returns {Promise<string | null>}
   */
  async ticket(token) {
    try {
      const { body } = await this.#request('/auth/ticket', token, { method: 'POST' });
      const ticket = body?.data?.ticket;
      return typeof ticket === 'string' ? ticket : null;
    } catch (error) {
      if (error instanceof Failure && ['not_found', 'method_not_allowed'].includes(error.code)) return null;
      throw error;
    }
  }

  /**
   * A channel as it is now; `null` if it is still as `etag` says, or if nothing has been heard of it.
   * @param {string} channel
   * @param {string} token
   * @param {{etag?: string, signal?: AbortSignal}} [options]
   * @returns {Promise<Answer | null>}
   */
  async channel(channel, token, { etag, signal } = {}) {
    /** @type {Record<string, string>} */
    const headers = etag ? { 'If-None-Match': etag } : {};
    try {
      const { response, body } = await this.#request(`/channels/${encodeURIComponent(channel)}`, token, { headers, signal });
      if (response.status === 304) return null;
      if (body?.data === undefined) throw new Failure('invalid_answer', 'The answer is no view.', { channel });
      const tag = response.headers.get('etag') ?? '';
      const date = Date.parse(response.headers.get('date') ?? '');
      const timestamp = new Date(Number.isNaN(date) ? this.#clock.now() : date).toISOString();
      return { data: body.data, etag: tag, cursor: cursorOf(tag), timestamp };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === 'not_found') return null;
      error.channel = channel;
      throw error;
    }
  }

  /**
   * What a channel's numbers were.
   * @param {string} channel
   * @param {string} token
   * @param {Record<string, string>} query
   * @param {AbortSignal} signal
   * @returns {Promise<import('./livefold.js').History>}
   */
  async history(channel, token, query, signal) {
    const path = `/channels/${encodeURIComponent(channel)}/history?${new URLSearchParams(query)}`;
    const { body } = await this.#request(path, token, { signal });
    if (!Array.isArray(body?.data?.points)) throw new Failure('invalid_answer', 'The answer is no history.');
    return body.data;
  }

  /**
   * @param {string} path
   * @param {string} token
   * @param {RequestInit} options
   * @returns {Promise<{response: Response, body: any}>}
   */
  async #request(path, token, options) {
    const aborter = new AbortController();
    const abort = () => aborter.abort();
    const alarm = new Alarm(this.#clock);
    let isLate = false;
    alarm.set(this.#timings.requestTimeout, () => {
      isLate = true;
      abort();
    });
    options.signal?.addEventListener('abort', abort);
    if (options.signal?.aborted) abort();
    try {
      const response = await this.#fetch(this.#base + path, {
        ...options,
        headers: { ...options.headers, Authorization: `Bearer ${token}` },
        cache: 'no-store',
        signal: aborter.signal,
      });
      if (response.ok) return { response, body: await json(response) };
      if (response.status === 304) return { response, body: null };
      throw this.#refusal(response, await json(response).catch(() => null));
    } catch (error) {
      if (error instanceof Failure) throw error;
      if (isLate) throw new Failure('timeout', 'The server did not answer in time.');
      // The error of fetch may hold the address, which goes nowhere.
      throw new Failure('unreachable', 'The server cannot be reached.');
    } finally {
      alarm.clear();
      options.signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * @param {Response} response
   * @param {any} body
   */
  #refusal(response, body) {
    const unavailable = ['unavailable', 'The service cannot answer at the moment.'];
    const unexpected = ['invalid_answer', 'The server gave an answer that is not Livefold\'s.'];
    const other = response.status >= 500 ? unavailable : unexpected;
    const told = isKnown(body?.error?.code) && [body.error.code, String(body.error.message)];
    const [code, message] = told || (REFUSALS.get(response.status) ?? other);
    const asked = retryAfter(response.headers.get('retry-after'), this.#clock.now());
    return new Failure(code, message, { retryAfter: asked && Math.min(asked, this.#timings.longestWait) });
  }
}

/**
 * How long a server asks us to wait, in milliseconds. RFC 9110 §10.2.3: seconds, or a date.
 * @param {string | null} header
 * @param {number} now
 */
export function retryAfter(header, now) {
  if (header === null || header.trim() === '') return undefined;
  const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(wait) ? undefined : Math.max(wait, 0);
}

/**
 * The cursor that an entity tag begins with: `"{cursor}-{hash}"`, and proxies that compress put `W/` before it.
 * @param {string} etag
 */
export function cursorOf(etag) {
  return /^(?:W\/)?"(\d+\.[\w-]*)-[^-"]*"$/.exec(etag)?.[1] ?? null;
}

/** @param {Response} response */
async function json(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure('invalid_answer', 'The answer is not JSON.');
  }
}
