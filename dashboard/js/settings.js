/** What the viewer chose, kept in this browser. What is stored may be from another version, or anybody's: it is checked. */

const KEY = 'livefold.settings';

const PACES = ['live', '2', '5', '15', '60', 'manual'];
const WINDOWS = [120, 300, 900];
const ORDERS = ['name', 'activeCalls', 'queueDepth', 'totalAttempts', 'answerRate', 'conversionRate', 'optOutRate'];

/** Events that were watched before, offered when one is to be chosen. */
export const MAX_EVENTS = 8;

const oneOf = (values) => (value) => values.includes(value);
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

const SETTINGS = {
  theme: { usual: 'system', isValid: oneOf(['system', 'light', 'dark']) },
  pace: { usual: 'live', isValid: oneOf(PACES) },
  window: { usual: 300, isValid: oneOf(WINDOWS) },
  order: { usual: 'name', isValid: oneOf(ORDERS) },
  sound: { usual: false, isValid: (value) => typeof value === 'boolean' },
  /** Changes to the thresholds' defaults, by the threshold's key. */
  thresholds: { usual: {}, isValid: isObject },
  hiddenLines: { usual: [], isValid: Array.isArray },
  events: { usual: [], isValid: (value) => Array.isArray(value) && value.every((id) => typeof id === 'string') },
};

export class Settings {
  #storage;
  #values = {};

  /** @param {Storage | null} storage */
  constructor(storage) {
    this.#storage = storage;
    let stored = {};
    try {
      stored = JSON.parse(storage?.getItem(KEY) ?? '{}') ?? {};
    } catch {
      // Not ours.
    }
    for (const [name, { usual, isValid }] of Object.entries(SETTINGS)) {
      this.#values[name] = isValid(stored[name]) ? stored[name] : usual;
    }
  }

  /** @param {keyof typeof SETTINGS} name */
  get(name) {
    return this.#values[name];
  }

  /** @param {keyof typeof SETTINGS} name */
  set(name, value) {
    if (!SETTINGS[name].isValid(value)) return;
    this.#values[name] = value;
    try {
      this.#storage?.setItem(KEY, JSON.stringify(this.#values));
    } catch {
      // Full, or forbidden: the choice holds until the page is closed.
    }
  }
}

/** Of this browser. Reading `localStorage` throws where it is forbidden. */
export function settingsOfThisBrowser() {
  try {
    return new Settings(localStorage);
  } catch {
    return new Settings(null);
  }
}
