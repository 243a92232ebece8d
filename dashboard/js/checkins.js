import { arrange, element, write } from './dom.js';
import { ago } from './format.js';
import { nameOr } from './name.js';
import { writeTime } from './timestamps.js';

/** Who checked in last, and when. Where the server does not tell, this page notes when it saw somebody first. */
export class CheckIns {
  #list;
  #empty;
  /** @type {Map<string, ReturnType<CheckIns['make']>>} */
  #seen = new Map();
  #hasShown = false;

  /** @param {Element} list @param {HTMLElement} empty */
  constructor(list, empty) {
    this.#list = list;
    this.#empty = empty;
    setInterval(() => this.#age(), 1000);
  }

  /** @param {import('/clients/js/livefold.js').LiveDashboardData['liveCheckInFeed']} feed newest first */
  show(feed) {
    // Somebody may check in twice, and is then in the feed twice.
    const counts = new Map();
    const keyed = [...feed]
      .reverse()
      .map((person) => {
        const place = (counts.get(person.id) ?? 0) + 1;
        counts.set(person.id, place);
        return { ...person, key: `${person.id} ${place}` };
      })
      .reverse();
    const keys = new Set(keyed.map(({ key }) => key));
    for (const key of this.#seen.keys()) if (!keys.has(key)) this.#seen.delete(key);
    for (const { key, id, name, timestamp } of keyed) {
      const entry = this.#seen.get(key) ?? this.make();
      this.#seen.set(key, entry);
      const shown = nameOr(name, id);
      write(entry.name, shown);
      write(entry.initials, initialsOf(shown));
      entry.seen.hidden = Boolean(timestamp);
      if (timestamp) writeTime(entry.at, timestamp);
    }
    arrange(
      this.#list,
      keyed.map(({ key }) => this.#seen.get(key).node),
    );
    this.#empty.hidden = feed.length > 0;
    this.#hasShown = true;
  }

  make() {
    const initials = element('span', { className: 'initials', ariaHidden: 'true' });
    const [name, at, seen] = [element('b'), element('time'), element('span')];
    const person = element('div', {}, name, at, seen);
    const node = element('li', { className: this.#hasShown ? 'is-new' : '' }, initials, person);
    return { node, initials, name, at, seen, seenAt: this.#hasShown ? Date.now() : 0 };
  }

  #age() {
    for (const { seen, seenAt } of this.#seen.values()) if (seenAt) write(seen, ago(Date.now() - seenAt));
  }
}

/** @param {string} name */
function initialsOf(name) {
  const words = name.split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters
    .map((word) => [...word][0])
    .join('')
    .toUpperCase();
}
