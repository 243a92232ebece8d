/**
 * How long to wait before the next attempt: exponential with full jitter, so that clients that were cut off together do
 * not come back together. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export class Backoff {
  #base;
  #cap;
  #random;
  #failures = 0;

  /**
   * @param {number} base ceiling of the first wait, in milliseconds
   * @param {number} cap ceiling of every wait
   * @param {() => number} random between 0 and 1
   */
  constructor(base, cap, random) {
    this.#base = base;
    this.#cap = cap;
    this.#random = random;
  }

  /** Attempts that failed one after another. */
  get failures() {
    return this.#failures;
  }

  /** The wait after one more failure, in milliseconds. */
  next() {
    const ceiling = Math.min(this.#cap, this.#base * 2 ** this.#failures);
    this.#failures += 1;
    return this.#random() * ceiling;
  }

  reset() {
    this.#failures = 0;
  }
}
