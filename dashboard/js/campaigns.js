import { arrange, byId, mark, write } from './dom.js';
import { count, percent, rate } from './format.js';
import { nameOf } from './name.js';
import { OUTCOMES, outcomesOf, stackOf } from './outcomes.js';
import { writeTime } from './timestamps.js';

const TONES = OUTCOMES.map(({ tone }) => tone);

const FORMATS = {
  activeCalls: count,
  queueDepth: count,
  dialingRate: rate,
  totalAttempts: count,
  answered: count,
  busy: count,
  failed: count,
  converted: count,
  optOuts: count,
  answerRate: percent,
  conversionRate: percent,
  optOutRate: percent,
};

/** Placeholders until the first campaigns come. */
const SKELETONS = 6;

/** A card for each campaign. */
export class Campaigns {
  #list = byId('campaigns');
  #template = byId('campaign-card');
  #onSelect;
  /** @type {Map<string, ReturnType<Campaigns['make']>>} */
  #cards = new Map();
  #selected = '';

  /** @param {(campaignId: string) => void} onSelect */
  constructor(onSelect) {
    this.#onSelect = onSelect;
    for (let place = 0; place < SKELETONS; place += 1) {
      const skeleton = document.createElement('li');
      skeleton.className = 'campaign skeleton';
      skeleton.ariaHidden = 'true';
      this.#list.append(skeleton);
    }
  }

  /** Whether the viewer is at work among the cards, and they should stay where they are. */
  get isInUse() {
    return this.#list.matches(':hover, :focus-within');
  }

  /**
   * @param {import('/clients/js/livefold.js').CampaignMetrics[]} campaigns in the order in which they are listed
   * @param {Set<string> | null} changed `null`: all
   * @param {Map<string, string>} alarms what is wrong with a campaign, by its id
   */
  show(campaigns, changed, alarms) {
    if (!changed || campaigns.length !== this.#cards.size) this.#arrange(campaigns);
    for (const campaign of campaigns) {
      const card = this.#cards.get(campaign.campaignId);
      if (!changed || changed.has(campaign.campaignId)) this.#fill(card, campaign);
      const alarm = alarms.get(campaign.campaignId) ?? '';
      if (card.said !== alarm) {
        card.said = alarm;
        mark(card.node, 'alarm', alarm !== '');
        card.alarm.hidden = alarm === '';
        write(card.alarm, alarm);
      }
    }
  }

  /** @param {string} campaignId or '' for none */
  select(campaignId) {
    for (const id of [this.#selected, campaignId]) {
      const card = this.#cards.get(id);
      if (!card) continue;
      mark(card.node, 'selected', id === campaignId);
      card.button.setAttribute('aria-expanded', String(id === campaignId));
    }
    this.#selected = campaignId;
  }

  /** @param {string} campaignId */
  focus(campaignId) {
    this.#cards.get(campaignId)?.button.focus();
  }

  #arrange(campaigns) {
    const ids = new Set(campaigns.map(({ campaignId }) => campaignId));
    for (const id of this.#cards.keys()) if (!ids.has(id)) this.#cards.delete(id);
    for (const id of ids) if (!this.#cards.has(id)) this.#cards.set(id, this.make(id));
    arrange(
      this.#list,
      campaigns.map(({ campaignId }) => this.#cards.get(campaignId).node),
    );
  }

  make(campaignId) {
    const node = this.#template.content.firstElementChild.cloneNode(true);
    node.dataset.campaign = campaignId;
    const button = node.querySelector('button');
    button.addEventListener('click', () => this.#onSelect(campaignId === this.#selected ? '' : campaignId));
    if (campaignId === this.#selected) {
      node.dataset.selected = '';
      button.setAttribute('aria-expanded', 'true');
    }
    const values = Object.fromEntries(
      [...node.querySelectorAll('[data-is]')].map((value) => [value.dataset.is, value]),
    );
    write(node.querySelector('.campaign-id span'), campaignId);
    return {
      node,
      button,
      latest: node.querySelector('.latest'),
      values,
      badge: node.querySelector('.badge'),
      stack: node.querySelector('.stack'),
      alarm: node.querySelector('.campaign-alarm'),
      said: '',
      background: '',
    };
  }

  #fill(card, campaign) {
    const name = nameOf(campaign);
    if (card.button.title !== name) card.button.title = name;
    write(card.button, name);
    // Of one that is not active little or nothing more is told.
    card.latest.hidden = campaign.status === 'active';
    writeTime(card.latest.querySelector('time'), campaign.updatedAt);
    write(card.badge, campaign.status);
    if (card.badge.dataset.status !== campaign.status) card.badge.dataset.status = campaign.status;
    for (const [metric, node] of Object.entries(card.values)) write(node, FORMATS[metric](campaign[metric]));
    const parts = outcomesOf(campaign);
    const background = stackOf(
      parts,
      parts.reduce((sum, part) => sum + part, 0),
      TONES,
    );
    if (card.background !== background) card.stack.style.background = card.background = background;
  }
}
