import { arrange, byId, element, write } from './dom.js';

/** A number that wavers about its threshold stays marked for so long, in milliseconds. */
const HOLD = 4_000;

/** Two tones are at least so far apart, in milliseconds. */
const TONE_PAUSE = 10_000;

/** Listed by name; of the rest it is told how many there are. */
const MAX_LISTED = 8;

/** What is beyond a threshold: listed at the top, read out once, and sounded if that is wanted. */
export class Alarms {
  #settings;
  #announce;
  #section = byId('alarms');
  #list = this.#section.querySelector('ul');
  #more = element('li');
  /** @type {Map<string, any>} */
  #active = new Map();
  #soundedAt = 0;
  #audio = null;

  /**
   * @param {import('./settings.js').Settings} settings
   * @param {(text: string) => void} announce
   */
  constructor(settings, announce) {
    this.#settings = settings;
    this.#announce = announce;
    // Browsers let a page sound only after it was used.
    byId('sound').addEventListener('change', ({ target }) => target.checked && this.#sound());
  }

  /**
   * @param {ReturnType<import('./thresholds.js').Thresholds['check']>} over
   * @param {number} now milliseconds since 1970
   */
  take(over, now) {
    const fresh = [];
    for (const alarm of over) {
      const before = this.#active.get(alarm.key);
      if (!before) fresh.push(alarm);
      this.#active.set(alarm.key, { ...alarm, node: before?.node ?? element('li'), seenAt: now });
    }
    const keys = new Set(over.map(({ key }) => key));
    for (const [key, { seenAt }] of this.#active) if (!keys.has(key) && now - seenAt > HOLD) this.#active.delete(key);
    this.#show();
    if (fresh.length === 0) return;
    const first = `${fresh[0].label} ${fresh[0].value}, ${fresh[0].beyond}`;
    this.#announce(fresh.length === 1 ? `Warning: ${first}` : `${fresh.length} warnings, first: ${first}`);
    if (this.#settings.get('sound') && now - this.#soundedAt > TONE_PAUSE) {
      this.#soundedAt = now;
      this.#sound();
    }
  }

  /** Forgets what was beyond a threshold that is another now. */
  clear() {
    this.#active.clear();
  }

  get count() {
    return this.#active.size;
  }

  /** What is wrong, by metric. @param {'total' | 'system'} scope */
  byMetric(scope) {
    const texts = new Map();
    for (const { threshold, beyond } of this.#active.values())
      if (threshold.scope === scope) texts.set(threshold.metric, beyond);
    return texts;
  }

  /** What is wrong, by campaign. */
  get byCampaign() {
    const texts = new Map();
    for (const { threshold, campaignId, beyond } of this.#active.values()) {
      if (campaignId === '') continue;
      const before = texts.has(campaignId) ? `${texts.get(campaignId)}, ` : '';
      texts.set(campaignId, `${before}${threshold.label} ${beyond}`);
    }
    return texts;
  }

  #show() {
    const alarms = [...this.#active.values()];
    this.#section.hidden = alarms.length === 0;
    for (const { node, label, value, beyond } of alarms.slice(0, MAX_LISTED)) {
      if (!node.firstChild) node.append(element('span'), element('b'), element('span'));
      [`${label} `, value, `, ${beyond}`].forEach((text, place) => write(node.children[place], text));
    }
    const left = alarms.length - MAX_LISTED;
    write(this.#more, `and ${left} more`);
    arrange(this.#list, [...alarms.slice(0, MAX_LISTED).map(({ node }) => node), ...(left > 0 ? [this.#more] : [])]);
  }

  /** Two short notes, the second lower. */
  #sound() {
    try {
      this.#audio ??= new AudioContext();
      void this.#audio.resume();
      for (const [place, pitch] of [660, 520].entries()) {
        const at = this.#audio.currentTime + 0.02 + place * 0.17;
        const [tone, loudness] = [this.#audio.createOscillator(), this.#audio.createGain()];
        tone.frequency.value = pitch;
        loudness.gain.setValueAtTime(0, at);
        loudness.gain.linearRampToValueAtTime(0.14, at + 0.02);
        loudness.gain.exponentialRampToValueAtTime(0.001, at + 0.15);
        tone.connect(loudness).connect(this.#audio.destination);
        tone.start(at);
        tone.stop(at + 0.16);
      }
    } catch {
      // No sound here; the warning is on the screen.
    }
  }
}
