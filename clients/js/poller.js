import { Backoff } from './backoff.js';
import { Alarm } from './clock.js';
import { asFailure, Failure } from './failure.js';

/** @typedef {import('./rest.js').Answer} Answer */

/** Requests at a time. Browsers allow six to a host, and the page may want some itself. */
const CONCURRENCY = 4;

/**
 * A round takes at least so long for each channel, in milliseconds. A user has 600 requests a minute (docs/protocol.md);
 * this leaves half of them to others.
 */
const SPACING = 200;

/**
 * @typedef {object} Listeners
 * @property {() => Iterable<string>} channels which are to be shown
 * @property {(channel: string, answer: Answer | null, askedAt: number) => void} answer `null`: as it was
 * @property {(failure: Failure) => void} trouble
 * @property {() => void} changed `isAnswering` may be another
 */

/** Shows channels over REST: again and again while no socket can be had, or once. */
export class Poller {
  /** Whether the last round was answered; `null` before the first. */
  isAnswering = /** @type {boolean | null} */ (null);

  #rest;
  #token;
  #interval;
  #clock;
  #listeners;
  #backoff;
  #alarm;
  /** @type {AbortController | null} */
  #run = null;
  /** @type {Map<string, string>} */
  #etags = new Map();
  /** @type {Set<string>} Channels of which it was said that they are not to be had. */
  #told = new Set();

  /**
   * @param {object} setup
   * @param {import('./rest.js').Rest} setup.rest
   * @param {import('./token.js').Token} setup.token
   * @param {number} setup.pollInterval
   * @param {() => number} setup.random
   * @param {import('./clock.js').Clock} setup.clock
   * @param {import('./livefold.js').Timings} setup.timings
   * @param {Listeners} listeners
   */
  constructor({ rest, token, pollInterval, random, clock, timings }, listeners) {
    this.#rest = rest;
    this.#token = token;
    this.#interval = pollInterval;
    this.#clock = clock;
    this.#listeners = listeners;
    this.#backoff = new Backoff(timings.backoffBase, timings.backoffCap, random);
    this.#alarm = new Alarm(clock);
  }

  /** Begins at once, unless it has begun. */
  start() {
    if (this.#run) return;
    this.#run = new AbortController();
    void this.#cycle(this.#run);
  }

  stop() {
    this.#run?.abort();
    this.#run = null;
    this.#alarm.clear();
    this.#backoff.reset();
    // A socket may have shown other views before polling begins again.
    this.#etags.clear();
    this.#told.clear();
    this.isAnswering = null;
  }

  /** Shows what is new among the channels without waiting for the next round; an outage is waited for. */
  hurry() {
    if (this.#run && this.#alarm.at !== null && this.#backoff.failures === 0) void this.#cycle(this.#run);
  }

  /** Asks for every channel once. */
  async refresh() {
    try {
      await this.#round(new Map());
      return true;
    } catch (error) {
      this.#listeners.trouble(asFailure(error));
      return false;
    }
  }

  /**
   * One channel as it is now; `null` if it cannot be had.
   * @param {string} channel
   */
  async look(channel) {
    try {
      return await this.#rest.channel(channel, await this.#token.valid());
    } catch {
      return null;
    }
  }

  /** @param {AbortController} run */
  async #cycle(run) {
    this.#alarm.clear();
    const begun = this.#clock.now();
    let pause = 0;
    try {
      await this.#round(this.#etags, run.signal);
      this.isAnswering = run.signal.aborted ? null : true;
      this.#backoff.reset();
    } catch (error) {
      if (run.signal.aborted) return;
      const failure = asFailure(error);
      // Somebody who says "slower" is there.
      if (failure.code !== 'rate_limited') this.isAnswering = false;
      pause = Math.max(this.#backoff.next(), failure.retryAfter ?? 0);
      this.#listeners.trouble(failure);
    }
    if (run.signal.aborted) return;
    const now = this.#clock.now();
    const interval = Math.max(this.#interval, SPACING * [...this.#listeners.channels()].length);
    this.#alarm.set(Math.max(begun + interval, now + pause) - now, () => void this.#cycle(run));
    this.#listeners.changed();
  }

  /**
   * Asks for every channel. Fails if that is of no use at the moment.
   * @param {Map<string, string>} etags
   * @param {AbortSignal} [signal]
   */
  async #round(etags, signal) {
    let token = await this.#token.valid();
    for (const isLastTry of [false, true]) {
      try {
        await this.#askAll(token, etags, signal);
        return;
      } catch (error) {
        if (!(error instanceof Failure) || !isOfWholeToken(error) || signal?.aborted) throw error;
        const refused = token;
        if (!isLastTry) token = await this.#token.fresh();
        if (isLastTry || token === refused) {
          this.#token.refuse(refused, error.code);
          throw error;
        }
      }
    }
  }

  /**
   * @param {string} token
   * @param {Map<string, string>} etags
   * @param {AbortSignal} [signal]
   */
  async #askAll(token, etags, signal) {
    const channels = [...this.#listeners.channels()];
    for (const channel of etags.keys()) if (!channels.includes(channel)) etags.delete(channel);
    /** @type {Failure[]} */
    const failures = [];
    let answers = 0;
    const work = async () => {
      for (let channel = channels.shift(); channel !== undefined; channel = channels.shift()) {
        try {
          await this.#ask(channel, token, etags, signal);
          answers += 1;
        } catch (error) {
          const failure = asFailure(error);
          failures.push(failure);
          if (concernsAll(failure)) channels.length = 0;
          else this.#tellOnce(channel, failure);
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    const failure = failures.find(concernsAll) ?? (answers === 0 ? failures[0] : undefined);
    if (failure) throw failure;
  }

  /**
   * @param {string} channel
   * @param {string} token
   * @param {Map<string, string>} etags
   * @param {AbortSignal} [signal]
   */
  async #ask(channel, token, etags, signal) {
    const askedAt = this.#clock.now();
    const answer = await this.#rest.channel(channel, token, { etag: etags.get(channel), signal });
    if (signal?.aborted) return;
    if (answer) etags.set(channel, answer.etag);
    this.#told.delete(channel);
    this.#listeners.answer(channel, answer, askedAt);
  }

  /**
   * @param {string} channel
   * @param {Failure} failure
   */
  #tellOnce(channel, failure) {
    if (this.#told.has(channel)) return;
    this.#told.add(channel);
    this.#listeners.trouble(failure);
  }
}

/**
 * Whether other channels would fare no better.
 * @param {Failure} failure
 */
function concernsAll(failure) {
  if (failure.retryAfter !== undefined || isOfWholeToken(failure)) return true;
  return ['unreachable', 'timeout', 'rate_limited'].includes(failure.code);
}

/**
 * Whether the token opens nothing at all, and not only not this channel.
 * @param {Failure} failure
 */
function isOfWholeToken(failure) {
  return failure.isOfToken && failure.code !== 'forbidden';
}
