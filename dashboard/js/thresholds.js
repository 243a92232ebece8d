import { byId, element } from './dom.js';
import { count, duration, percent, rate } from './format.js';
import { nameOf } from './name.js';

/**
 * @typedef {object} Threshold
 * @property {string} key
 * @property {'total' | 'campaign' | 'system'} scope
 * @property {string} metric
 * @property {string} label
 * @property {'above' | 'below'} side on which it is wrong
 * @property {number} usual limit
 * @property {boolean} isUsual whether it is watched unless the viewer says otherwise
 * @property {string} unit
 * @property {(value: number) => string} format
 * @property {number} [max] the highest limit that makes sense
 */

/** Rates say little before so many attempts. */
const ENOUGH_ATTEMPTS = 20;

const SCOPES = [
  ['total', 'All campaigns together'],
  ['campaign', 'Each campaign'],
  ['system', 'System'],
];

const threshold = (scope, metric, label, side, usual, isUsual, unit, format, max) => ({
  key: `${scope}.${metric}`,
  scope,
  metric,
  label,
  side,
  usual,
  isUsual,
  unit,
  format,
  max,
});

/** What can be watched. @type {Threshold[]} */
export const THRESHOLDS = [
  threshold('total', 'activeCalls', 'Active calls', 'above', 500, false, 'calls', count),
  threshold('total', 'queueDepth', 'Queue depth', 'above', 1000, false, 'contacts', count),
  threshold('total', 'dialingRate', 'Dialing rate', 'below', 1, false, 'calls/s', rate),
  threshold('campaign', 'queueDepth', 'Queue', 'above', 500, false, 'contacts', count),
  threshold('campaign', 'answerRate', 'Answer rate', 'below', 10, false, '%', percent, 100),
  threshold('campaign', 'optOutRate', 'Opt-out rate', 'above', 5, true, '%', percent, 100),
  threshold('system', 'cpuUsage', 'CPU', 'above', 90, true, '%', percent, 100),
  threshold('system', 'memoryUsage', 'Memory', 'above', 90, true, '%', percent, 100),
  threshold('system', 'silentNodes', 'Silent dialers', 'above', 0, true, 'dialers', count),
  threshold('system', 'sinceLastCall', 'Since the last call record', 'above', 120, false, 's', duration),
];

/** What the viewer made of them. */
export class Thresholds {
  #settings;

  /** @param {import('./settings.js').Settings} settings */
  constructor(settings) {
    this.#settings = settings;
  }

  /** @param {Threshold} threshold */
  of({ key, usual, isUsual }) {
    const own = this.#settings.get('thresholds')[key];
    const isOn = typeof own?.isOn === 'boolean' ? own.isOn : isUsual;
    return { isOn, limit: Number.isFinite(own?.limit) ? own.limit : usual };
  }

  set(key, change) {
    const all = this.#settings.get('thresholds');
    this.#settings.set('thresholds', { ...all, [key]: { ...all[key], ...change } });
  }

  reset() {
    this.#settings.set('thresholds', {});
  }

  /**
   * What is beyond its threshold.
   * @param {Record<string, number>} totals
   * @param {Iterable<import('/clients/js/livefold.js').CampaignMetrics>} campaigns
   * @param {import('/clients/js/livefold.js').SystemHealth | null} health
   */
  check(totals, campaigns, health) {
    const over = [];
    const system = health && {
      cpuUsage: health.cpuUsage,
      memoryUsage: health.memoryUsage,
      silentNodes: (health.nodes ?? []).filter(({ stale }) => stale).length,
      sinceLastCall: health.pipeline?.secondsSinceRecord?.['campaign.events.v1'],
    };
    const look = (threshold, limit, values, campaign) => {
      const value = values?.[threshold.metric];
      if (typeof value !== 'number' || (threshold.side === 'above' ? value <= limit : value >= limit)) return;
      const id = campaign?.campaignId ?? '';
      const name = campaign ? `${nameOf(campaign)}: ` : '';
      const beyond = `${threshold.side} ${threshold.format(limit)}`;
      over.push({
        key: `${threshold.key} ${id}`,
        threshold,
        campaignId: id,
        label: `${name}${threshold.label}`,
        value: threshold.format(value),
        beyond,
      });
    };
    const listed = [...campaigns];
    for (const threshold of THRESHOLDS) {
      const { isOn, limit } = this.of(threshold);
      if (!isOn) continue;
      if (threshold.scope === 'total' && totals.campaigns > 0) look(threshold, limit, totals);
      if (threshold.scope === 'system') look(threshold, limit, system);
      if (threshold.scope !== 'campaign') continue;
      for (const campaign of listed) {
        if (campaign.status !== 'active' || (threshold.unit === '%' && campaign.totalAttempts < ENOUGH_ATTEMPTS))
          continue;
        look(threshold, limit, campaign, campaign);
      }
    }
    return over;
  }
}

/**
 * The dialog in which they are set. A change holds at once.
 * @param {Thresholds} thresholds
 * @param {import('./settings.js').Settings} settings
 * @param {() => void} onChange
 */
export function offerThresholds(thresholds, settings, onChange) {
  const dialog = byId('thresholds-dialog');
  const fill = () => {
    byId('sound').checked = settings.get('sound');
    byId('thresholds-list').replaceChildren(
      ...SCOPES.map(([scope, title]) =>
        element(
          'fieldset',
          {},
          element('legend', { textContent: title }),
          ...THRESHOLDS.filter((threshold) => threshold.scope === scope).map((threshold) =>
            rule(threshold, thresholds, onChange),
          ),
        ),
      ),
    );
  };
  byId('open-thresholds').addEventListener('click', () => {
    fill();
    dialog.showModal();
  });
  byId('thresholds-reset').addEventListener('click', () => {
    thresholds.reset();
    fill();
    onChange();
  });
  byId('sound').addEventListener('change', ({ target }) => settings.set('sound', target.checked));
}

function rule(threshold, thresholds, onChange) {
  const { isOn, limit } = thresholds.of(threshold);
  const box = element('input', { type: 'checkbox', checked: isOn, name: threshold.key });
  const input = element('input', {
    type: 'number',
    value: String(limit),
    min: '0',
    step: 'any',
    disabled: !isOn,
    name: `${threshold.key}.limit`,
  });
  if (threshold.max) input.max = String(threshold.max);
  input.setAttribute('aria-label', `${threshold.label} ${threshold.side}, in ${threshold.unit}`);
  box.addEventListener('change', () => {
    input.disabled = !box.checked;
    thresholds.set(threshold.key, { isOn: box.checked });
    onChange();
  });
  input.addEventListener('input', () => {
    if (input.value === '' || !input.checkValidity()) return;
    thresholds.set(threshold.key, { limit: input.valueAsNumber });
    onChange();
  });
  return element(
    'div',
    { className: 'rule' },
    element('label', { className: 'check' }, box, threshold.label),
    element(
      'span',
      { className: 'limit' },
      threshold.side,
      input,
      element('span', { className: 'unit', textContent: threshold.unit }),
    ),
  );
}
