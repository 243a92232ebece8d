import { write } from './dom.js';
import { dayOf, time } from './format.js';

/** Milliseconds between two looks whether the day is another. */
const LOOK = 1_000;

/**
 * Writes when something happened into an element `time`.
 * @param {HTMLTimeElement} node
 * @param {string | null | undefined} at RFC 3339
 */
export function writeTime(node, at) {
  if (node.dateTime !== (at ?? '')) node.dateTime = at ?? '';
  write(node, time(at));
}

/** Writes the times that the page shows anew when the day turns: what was of today is then of yesterday. */
export function followDays() {
  let today = dayOf(Date.now());
  setInterval(() => {
    if (dayOf(Date.now()) === today) return;
    today = dayOf(Date.now());
    for (const node of document.querySelectorAll('time[datetime]')) writeTime(node, node.dateTime);
  }, LOOK);
}
