/** What the minutes before the page was opened were like, so that no chart begins empty. */

/** Minutes that are asked for: the longest time that a chart of the present shows. */
const MINUTES = 15;

/**
 * Of more channels the past is not asked for: that many answers would be half of what a user may ask for in a minute, and a
 * sum without the rest would be a wrong one.
 */
const MOST_CHANNELS = 60;

/** Answers that are waited for at the same time. */
const AT_ONCE = 6;

/**
 * The sums over some channels, minute by minute; `null` where that is not known.
 * @param {import('/clients/js/livefold.js').Livefold} live
 * @param {string[]} channels
 * @param {string[]} names of the values
 * @returns {Promise<Array<{at: number, sample: Record<string, number | null>}>>} at the end of each minute that is over
 */
export async function minutesBefore(live, channels, names) {
  if (channels.length > MOST_CHANNELS) return [];
  const now = Date.now();
  const span = { from: new Date(now - MINUTES * 60_000), to: new Date(now), step: 'minute' };
  /** @type {Map<number, Record<string, number | null>>} */
  const sums = new Map();
  const left = [...channels];
  const work = async () => {
    for (let channel = left.pop(); channel !== undefined; channel = left.pop()) {
      const { points } = await live.history(channel, span);
      for (const { at, values } of points) {
        const end = Date.parse(at) / 1000 + 60;
        if (end * 1000 > now) continue;
        const sum = sums.get(end) ?? Object.fromEntries(names.map((name) => [name, null]));
        for (const name of names) if (values[name] !== null) sum[name] = (sum[name] ?? 0) + values[name];
        sums.set(end, sum);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return [...sums].map(([at, sample]) => ({ at, sample })).sort((a, b) => a.at - b.at);
}
