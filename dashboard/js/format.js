/** Numbers and times for people, in the browser's language. */

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const cents = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

/** What is shown where there is no number. */
export const NONE = '–';

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

export const count = (value) => (isNumber(value) ? whole.format(value) : NONE);
export const rate = (value) => (isNumber(value) ? tenth.format(value) : NONE);
export const percent = (value) => (isNumber(value) ? `${tenth.format(value)} %` : NONE);
export const money = (value) => (isNumber(value) ? cents.format(value) : NONE);

/** @param {Date | string | number} at */
export function time(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? NONE : clock.format(date);
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
  return minutes < 60 ? `${minutes} min ago` : `${Math.floor(minutes / 60)} h ago`;
}

/** @param {number} value */
export function signed(value) {
  if (!isNumber(value)) return NONE;
  const text = Number.isInteger(value) ? whole.format(Math.abs(value)) : tenth.format(Math.abs(value));
  return value < 0 ? `−${text}` : `+${text}`;
}
