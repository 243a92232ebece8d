import { arrange, element, write } from './dom.js';
import { count, percent } from './format.js';
import { nameOf } from './name.js';
import { OUTCOMES, outcomesOf, stackOf } from './outcomes.js';

const TONES = OUTCOMES.map(({ tone }) => tone);

/** How far each campaign is: a stacked bar of its outcomes, within all the contacts that are known. */
export class Progress {
  #host;
  #body = element('tbody');
  /** @type {Map<string, ReturnType<Progress['make']>>} */
  #rows = new Map();
  #empty = element('p', { className: 'empty', textContent: 'No campaign is shown.' });

  /** @param {Element} host */
  constructor(host) {
    this.#host = host;
    const heads = [
      ['Campaign', 'name'],
      ['Outcomes', ''],
      ['Tried of known', 'of'],
      ['Done', 'done'],
    ];
    const head = heads.map(([text, className]) => element('th', { scope: 'col', className, textContent: text }));
    host.append(
      element(
        'table',
        {},
        element('caption', { className: 'unseen', textContent: 'Progress of each campaign' }),
        element('thead', {}, element('tr', {}, ...head)),
        this.#body,
      ),
      this.#empty,
    );
  }

  /**
   * @param {import('/clients/js/livefold.js').CampaignMetrics[]} campaigns in the order in which they are listed
   * @param {Set<string> | null} changed `null`: all
   */
  show(campaigns, changed) {
    if (!changed || campaigns.length !== this.#rows.size) this.#list(campaigns);
    for (const campaign of campaigns) {
      if (!changed || changed.has(campaign.campaignId)) this.#fill(this.#rows.get(campaign.campaignId), campaign);
    }
  }

  #list(campaigns) {
    const ids = new Set(campaigns.map(({ campaignId }) => campaignId));
    for (const id of this.#rows.keys()) if (!ids.has(id)) this.#rows.delete(id);
    for (const id of ids) if (!this.#rows.has(id)) this.#rows.set(id, this.make());
    arrange(
      this.#body,
      campaigns.map(({ campaignId }) => this.#rows.get(campaignId).row),
    );
    this.#host.style.setProperty('--rows', String(campaigns.length));
    this.#empty.hidden = campaigns.length > 0;
  }

  make() {
    const name = element('th', { scope: 'row' });
    const stack = element('div', { className: 'stack' });
    const [of, done] = [element('td', { className: 'of' }), element('td', { className: 'done' })];
    const row = element('tr', {}, name, element('td', {}, stack), of, done);
    return { row, name, stack, of, done, background: '' };
  }

  #fill(row, campaign) {
    const { totalAttempts, queueDepth } = campaign;
    const known = totalAttempts + queueDepth;
    const parts = outcomesOf(campaign);
    const background = stackOf(
      parts,
      Math.max(
        known,
        parts.reduce((sum, part) => sum + part, 0),
      ),
      TONES,
    );
    if (row.background !== background) row.stack.style.background = row.background = background;
    const name = nameOf(campaign);
    if (row.name.title !== name) row.name.title = name;
    write(row.name, name);
    write(row.of, `${count(totalAttempts)} of ${count(known)}`);
    write(row.done, known > 0 ? percent(Math.floor((100 * totalAttempts) / known)).replace(/[.,]0/, '') : '–');
  }
}
