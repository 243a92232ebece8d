/** Numbers and times for people, in the browser's language. */

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const cents = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const CLOCK = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
const DAY = { day: 'numeric', month: 'short' };
const clock = new Intl.DateTimeFormat(undefined, CLOCK);
const dayAndClock = new Intl.DateTimeFormat(undefined, { ...DAY, ...CLOCK });
const yearAndClock = new Intl.DateTimeFormat(undefined, { year: 'numeric', ...DAY, ...CLOCK });
const date = new Intl.DateTimeFormat('sv', { year: 'numeric', month: '2-digit', day: '2-digit' });

/** What is shown where there is no number. */
export const NONE = '–';

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

export const count = (value) => (isNumber(value) ? whole.format(value) : NONE);
export const rate = (value) => (isNumber(value) ? tenth.format(value) : NONE);
export const percent = (value) => (isNumber(value) ? `${tenth.format(value)} %` : NONE);
export const money = (value) => (isNumber(value) ? cents.format(value) : NONE);

/** The day in the viewer's zone, as text that tells days and years apart. @param {number | Date} at */
export const dayOf = (at) => date.format(at);

/**
 * When something happened, in the viewer's zone: with the day where it is not today, with the year where it is not this.
 * @param {string | null | undefined} at RFC 3339
 */
export function time(at) {
  const moment = new Date(at ?? NaN);
  if (Number.isNaN(moment.getTime())) return NONE;
  const [day, today] = [dayOf(moment), dayOf(Date.now())];
  if (day === today) return clock.format(moment);
  return (day.slice(0, 4) === today.slice(0, 4) ? dayAndClock : yearAndClock).format(moment);
}

/** @param {number} seconds */
export function duration(seconds) {
  if (!isNumber(seconds)) return NONE;
  if (seconds < 60) return `${tenth.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** How long ago, in words that do not change with every frame. @param {number} milliseconds */
export function ago(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 2) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
}

/** @param {number} value */
export function signed(value) {
  if (!isNumber(value)) return NONE;
  const text = Number.isInteger(value) ? whole.format(Math.abs(value)) : tenth.format(Math.abs(value));
  return value < 0 ? `−${text}` : `+${text}`;
}
