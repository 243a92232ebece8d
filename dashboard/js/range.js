/** Which time the past is shown of: the last hours or days, or from one time to another. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The most steps that a server tells of at once. */
const MOST_STEPS = 1_500;

/** The most days that it tells of. */
const MOST_DAYS = 750;

/** Minutes are kept for a week; up to half a day they are also few enough to be seen apart. */
const MINUTES_UP_TO = 12 * HOUR;

/** Hours beyond this are no longer seen apart. */
const HOURS_UP_TO = 14 * DAY;

/** What can be chosen by name: milliseconds until now. */
export const SPANS = { hour: HOUR, day: DAY, week: 7 * DAY, month: 30 * DAY };

/**
 * @typedef {object} Range
 * @property {keyof typeof SPANS | 'custom'} name
 * @property {number} from milliseconds since 1970
 * @property {number} to
 * @property {'minute' | 'hour' | 'day'} step
 * @property {boolean} isLive whether it has not ended yet, and goes on
 */

/** @param {keyof typeof SPANS} name @param {number} now @returns {Range} */
export function lately(name, now) {
  const from = now - SPANS[name];
  return { name, from, to: now, step: stepOf(from, now, now), isLive: true };
}

/**
 * A range of one's own choice; or what is wrong with it.
 * @param {string} from as an input of the type `datetime-local` has it, in the viewer's time zone
 * @param {string} to
 * @param {number} now
 * @returns {Range | string}
 */
export function between(from, to, now) {
  const [begin, end] = [Date.parse(from), Date.parse(to)];
  if (Number.isNaN(begin) || Number.isNaN(end)) return 'Give both times.';
  if (begin >= end) return 'It has to begin before it ends.';
  if (begin >= now) return 'Nothing is known of the future.';
  if (end - begin > MOST_DAYS * DAY) return `At most ${MOST_DAYS} days can be shown at once.`;
  return { name: 'custom', from: begin, to: end, step: stepOf(begin, end, now), isLive: end > now };
}

/** The range that the page's address names; the last hour where it names none. @param {string} search @param {number} now */
export function rangeOf(search, now) {
  const query = new URLSearchParams(search);
  const name = query.get('range');
  if (name !== null && Object.hasOwn(SPANS, name)) return lately(name, now);
  const custom = between(query.get('from') ?? '', query.get('to') ?? '', now);
  return typeof custom === 'string' ? lately('hour', now) : custom;
}

/** The page's address with a range in it. @param {string} href @param {Range} range */
export function addressWith(href, range) {
  const url = new URL(href);
  for (const name of ['range', 'from', 'to']) url.searchParams.delete(name);
  if (range.name === 'custom') {
    url.searchParams.set('from', local(range.from));
    url.searchParams.set('to', local(range.to));
  } else if (range.name !== 'hour') {
    url.searchParams.set('range', range.name);
  }
  return url.href;
}

/** A time as an input of the type `datetime-local` has it. @param {number} at */
export function local(at) {
  return new Date(at - new Date(at).getTimezoneOffset() * MINUTE).toISOString().slice(0, 16);
}

function stepOf(from, to, now) {
  const [span, age] = [to - from, now - from];
  if (span <= MINUTES_UP_TO && age < 7 * DAY && span / MINUTE < MOST_STEPS) return 'minute';
  return span <= HOURS_UP_TO ? 'hour' : 'day';
}
