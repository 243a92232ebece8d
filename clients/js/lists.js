/** The server reads no message that is larger than 8 KiB where nothing else is configured; half leaves room. In characters. */
const LONGEST = 4_096;

/** A server takes more; but a connection watches no more than these where nothing else is configured. */
const MOST = 100;

/**
 * Divides channels into lists that a message each can hold.
 * @param {string[]} channels
 * @returns {string[][]}
 */
export function lists(channels) {
  /** @type {string[][]} */
  const all = [];
  let length = LONGEST;
  for (const channel of channels) {
    length += JSON.stringify(channel).length + 1;
    if (length > LONGEST || all[all.length - 1].length === MOST) {
      all.push([]);
      length = JSON.stringify(channel).length + 1;
    }
    all[all.length - 1].push(channel);
  }
  return all;
}
