/** One sample a second for the longest time that a chart shows, fifteen minutes: all that is ever kept. */
export const CAPACITY = 900;

/** Samples further apart have a gap between them, in seconds: the device slept, or the browser let the page. */
const LONGEST_STEP = 5;

/** What was seen, second by second, bounded. A second in which nothing was known is a gap, not a line. */
export class History {
  #names;
  /** The last minute of before. */
  #filledUntil = 0;
  /** Seconds since 1970. @type {number[]} */
  times = [];
  /** @type {Record<string, Array<number | null>>} */
  values = {};

  /** @param {string[]} names of the series */
  constructor(names) {
    this.#names = names;
    for (const name of names) this.values[name] = [];
  }

  /**
   * @param {number} at seconds since 1970
   * @param {Record<string, number> | null} sample
   */
  add(at, sample) {
    const last = this.times.at(-1);
    if (last !== undefined && at <= last) return;
    const isEmpty = !sample || Object.values(sample).every((value) => value === null || value === undefined);
    // Before the first numbers there is nothing to leave a gap between; and minutes of before are that far apart.
    if ((last === undefined || last <= this.#filledUntil) && isEmpty) return;
    if (last !== undefined && last > this.#filledUntil && at - last > LONGEST_STEP) this.#push(last + 1, null);
    this.#push(at, sample);
  }

  /**
   * Puts what is known of the time before in front of what was seen.
   * @param {Array<{at: number, sample: Record<string, number | null>}>} past oldest first, seconds since 1970
   */
  fill(past) {
    const first = this.times[0] ?? Infinity;
    const earlier = past.filter(({ at }) => at < first).slice(Math.min(0, this.times.length - CAPACITY));
    this.#filledUntil = earlier.at(-1)?.at ?? this.#filledUntil;
    this.times.unshift(...earlier.map(({ at }) => at));
    for (const name of this.#names) this.values[name].unshift(...earlier.map(({ sample }) => sample[name] ?? null));
    while (this.times.length > CAPACITY) this.#shift();
  }

  /** Forgets all. */
  clear() {
    this.times.length = 0;
    this.#filledUntil = 0;
    for (const name of this.#names) this.values[name].length = 0;
  }

  #push(at, sample) {
    this.times.push(at);
    for (const name of this.#names) this.values[name].push(sample?.[name] ?? null);
    if (this.times.length > CAPACITY) this.#shift();
  }

  #shift() {
    this.times.shift();
    for (const name of this.#names) this.values[name].shift();
  }

  /**
   * By how much a series changed within the last seconds; `null` if that is not known.
   * @param {string} name
   * @param {number} seconds
   */
  change(name, seconds) {
    const now = this.times.at(-1);
    if (now === undefined) return null;
    const from = this.times.findIndex((at) => at >= now - seconds);
    const [before, after] = [this.values[name][from], this.values[name].at(-1)];
    // Younger than half of what was asked for, it would be called by a wrong name.
    if (now - this.times[from] < seconds / 2 || before === null || after === null) return null;
    return after - before;
  }

  /**
   * How fast a count grew within the last seconds, per minute; `null` if that is not known.
   * @param {string} name
   * @param {number} seconds
   */
  perMinute(name, seconds) {
    const change = this.change(name, seconds);
    if (change === null) return null;
    const now = this.times.at(-1);
    return (Math.max(0, change) * 60) / (now - this.times.find((at) => at >= now - seconds));
  }

  /** The last samples of a series. @param {string} name @param {number} length */
  tail(name, length) {
    return this.values[name].slice(-length);
  }
}
