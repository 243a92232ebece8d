import { arrange, element, write } from './dom.js';
import { ago } from './format.js';

/** Who checked in last. When, only this page knows: it notes when it saw somebody first. */
export class CheckIns {
  #list;
  #empty;
  /** @type {Map<string, {node: HTMLElement, seenAt: number, when: HTMLElement, name: HTMLElement, initials: HTMLElement}>} */
  #seen = new Map();
  #hasShown = false;

  /** @param {Element} list @param {HTMLElement} empty */
  constructor(list, empty) {
    this.#list = list;
    this.#empty = empty;
    setInterval(() => this.#age(), 1000);
  }

  /** @param {Array<{id: string, name: string}>} feed newest first */
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
    for (const { key, name } of keyed) {
      const entry = this.#seen.get(key) ?? this.#make();
      this.#seen.set(key, entry);
      write(entry.name, name);
      write(entry.initials, initialsOf(name));
    }
    arrange(
      this.#list,
      keyed.map(({ key }) => this.#seen.get(key).node),
    );
    this.#empty.hidden = feed.length > 0;
    this.#hasShown = true;
  }

  #make() {
    const [initials, name, when] = [
      element('span', { className: 'initials', ariaHidden: 'true' }),
      element('b'),
      element('span'),
    ];
    const node = element('li', { className: this.#hasShown ? 'is-new' : '' }, initials, element('div', {}, name, when));
    return { node, initials, name, when, seenAt: this.#hasShown ? Date.now() : 0 };
  }

  #age() {
    for (const { when, seenAt } of this.#seen.values()) if (seenAt) write(when, ago(Date.now() - seenAt));
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
