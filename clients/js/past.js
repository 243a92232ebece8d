import { asFailure, Failure } from './failure.js';

/**
 * @typedef {import('./livefold.js').HistoryRange} HistoryRange
 * @typedef {import('./livefold.js').History} History
 */

/** What a channel's numbers were. Who asks is answered, or told why not; nothing is tried again by itself. */
export class Past {
  #rest;
  #token;
  #isClosed = false;
  /** @type {Set<AbortController>} */
  #open = new Set();

  /**
   * @param {object} setup
   * @param {import('./rest.js').Rest | null} setup.rest
   * @param {import('./token.js').Token} setup.token
   */
  constructor({ rest, token }) {
    this.#rest = rest;
    this.#token = token;
  }

  /** Whoever waits for an answer is told that none comes. */
  close() {
    this.#isClosed = true;
    for (const question of this.#open) question.abort();
  }

  /**
   * @param {string} channel
   * @param {HistoryRange} range
   * @returns {Promise<History>}
   */
  async ask(channel, { from, to, step, timeZone, signal }) {
    const query = { from: rfc3339('from', from), to: rfc3339('to', to), step, ...(timeZone === undefined ? {} : { timeZone }) };
    const question = new AbortController();
    const abort = () => question.abort();
    this.#open.add(question);
    signal?.addEventListener('abort', abort);
    if (this.#isClosed || signal?.aborted) abort();
    try {
      return await this.#answer(channel, query, question.signal);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const failure = this.#isClosed ? new Failure('closed', 'The client was closed.') : asFailure(error);
      throw new Failure(failure.code, this.#withoutToken(failure.message), { channel, retryAfter: failure.retryAfter });
    } finally {
      this.#open.delete(question);
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * @param {string} channel
   * @param {Record<string, string>} query
   * @param {AbortSignal} signal
   */
  async #answer(channel, query, signal) {
    if (!this.#rest) throw new Failure('no_rest', 'The client does not know where the REST API is.');
    signal.throwIfAborted();
    const token = await this.#token.valid();
    try {
      return await this.#rest.history(channel, token, query, signal);
    } catch (error) {
      // It may have ended, or been revoked, since it was given.
      if (!(error instanceof Failure) || !error.isOfToken || error.code === 'forbidden') throw error;
      const another = await this.#token.fresh();
      if (another === token) throw error;
      return this.#rest.history(channel, another, query, signal);
    }
  }

  /** No server repeats a token; nobody has to trust it. @param {string} message */
  #withoutToken(message) {
    return this.#token.current ? message.replaceAll(this.#token.current, '…') : message;
  }
}

/**
 * @param {string} name
 * @param {Date | string} time
 */
function rfc3339(name, time) {
  const moment = new Date(time);
  if (Number.isNaN(moment.getTime())) throw new TypeError(`${name} is a Date, or a time as RFC 3339 has it`);
  return moment.toISOString();
}
