import { within } from './clock.js';
import { Failure } from './failure.js';

/** @typedef {string | (() => string | Promise<string>)} TokenSource */

/** The token: where it comes from, the one in use, and the one that was refused. */
export class Token {
  #source;
  #clock;
  #timeout;
  #current = '';
  #refused = '';
  /** Why, as a code. */
  #why = '';

  /**
   * @param {TokenSource} source
   * @param {import('./clock.js').Clock} clock
   * @param {number} timeout milliseconds that the function may take
   */
  constructor(source, clock, timeout) {
    this.#source = source;
    this.#clock = clock;
    this.#timeout = timeout;
  }

  /** The one in use; empty before the first was asked for. */
  get current() {
    return this.#current;
  }

  /** Whether there will never be another. */
  get isFixed() {
    return typeof this.#source === 'string';
  }

  /** Why the token in use was refused, as a code; empty if it was not. */
  get refusal() {
    return this.#refused !== '' && this.#refused === this.#current ? this.#why : '';
  }

  /** Asks for a token; it is then the one in use. */
  async fresh() {
    const token = await this.#ask();
    if (typeof token !== 'string' || token === '') {
      throw new Failure('token_unavailable', 'The token function gave no token.');
    }
    this.#current = token;
    return token;
  }

  /** The token in use, or another if that has ended. */
  async valid() {
    const end = expiry(this.#current);
    const isOver = end !== null && end <= this.#clock.now();
    return this.#current === '' || isOver ? this.fresh() : this.#current;
  }

  /**
   * Notes that the server does not take a token.
   * @param {string} token
   * @param {string} why
   */
  refuse(token, why) {
    this.#refused = token;
    this.#why = why;
  }

  /** Tries a refused token again. */
  forgive() {
    this.#refused = '';
  }

  async #ask() {
    if (typeof this.#source === 'string') return this.#source;
    const source = this.#source;
    const late = () => new Failure('token_unavailable', 'The token function takes too long.');
    try {
      return await within(Promise.resolve().then(source), this.#timeout, this.#clock, late);
    } catch (error) {
      // Its own error may hold anything, and goes nowhere.
      throw error instanceof Failure ? error : new Failure('token_unavailable', 'The token function failed.');
    }
  }
}

/**
 * When a token ends, in milliseconds since 1970, as a JWT tells it (RFC 7519 §4.1.4); `null` if it does not.
 * @param {string} token
 */
export function expiry(token) {
  try {
    const claims = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    return Number.isFinite(claims.exp) ? claims.exp * 1000 : null;
  } catch {
    return null;
  }
}
