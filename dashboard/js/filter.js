import { byId } from './dom.js';
import { nameOf } from './name.js';

/** Which campaigns are listed, and in which order. */
export class Filter {
  #settings;
  #search = byId('search');
  #status = byId('status-filter');
  #order = byId('sort');
  #onlyAlarms = byId('only-alarms');

  /**
   * @param {import('./settings.js').Settings} settings
   * @param {() => void} onChange
   */
  constructor(settings, onChange) {
    this.#settings = settings;
    this.#order.value = settings.get('order');
    this.#order.addEventListener('change', () => settings.set('order', this.#order.value));
    for (const [control, event] of [
      [this.#search, 'input'],
      [this.#status, 'change'],
      [this.#order, 'change'],
      [this.#onlyAlarms, 'change'],
    ]) {
      control.addEventListener(event, onChange);
    }
  }

  /** Whether the order depends on numbers that move. */
  get isByNumber() {
    return this.#order.value !== 'name';
  }

  get isOnlyAlarms() {
    return this.#onlyAlarms.checked;
  }

  /** Whether it leaves anything out. */
  get isNarrow() {
    return this.#words.length > 0 || this.#status.value !== '' || this.isOnlyAlarms;
  }

  /** Lists everything again. */
  clear() {
    this.#search.value = '';
    this.#status.value = '';
    this.#onlyAlarms.checked = false;
  }

  /**
   * @param {Iterable<import('/clients/js/livefold.js').CampaignMetrics>} campaigns
   * @param {(campaignId: string) => boolean} hasAlarm
   */
  apply(campaigns, hasAlarm) {
    const words = this.#words;
    const listed = [...campaigns].filter(({ campaignId, campaignName, status }) => {
      if (this.#status.value !== '' && status !== this.#status.value) return false;
      if (this.isOnlyAlarms && !hasAlarm(campaignId)) return false;
      const text = `${campaignName ?? ''} ${campaignId}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const order = this.#settings.get('order');
    if (order === 'name') return listed.sort(byName);
    return listed.sort((a, b) => b[order] - a[order] || byName(a, b));
  }

  get #words() {
    return this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
  }
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

function byName(a, b) {
  return collator.compare(nameOf(a), nameOf(b)) || collator.compare(a.campaignId, b.campaignId);
}
