/** Campaigns that are over, and are kept to be looked at: the latest so many. */
const MAX_OVER = 50;

/** Campaigns that are kept at all: twice as many as the server lists. */
const MAX_CAMPAIGNS = 1000;

/** @typedef {import('/clients/js/livefold.js').CampaignMetrics} CampaignMetrics */
/** @typedef {import('/clients/js/livefold.js').SystemHealth} SystemHealth */

/** What is summed up over the campaigns. */
const SUMMED = [
  'activeCalls',
  'queueDepth',
  'dialingRate',
  'totalAttempts',
  'answered',
  'busy',
  'failed',
  'converted',
  'optOuts',
];

/**
 * What came, and what of it is shown. The two differ where the viewer wants to see changes only now and then; then what
 * is shown does not move, whatever makes the page draw.
 */
export class Board {
  /** @type {Map<string, CampaignMetrics>} */
  #latest = new Map();
  /** @type {SystemHealth | null} */
  #latestHealth = null;
  /** @type {Set<string>} */
  #changed = new Set();

  /** What is shown. @type {Map<string, CampaignMetrics>} */
  campaigns = new Map();
  /** @type {SystemHealth | null} */
  health = null;
  /** Whether the list of campaigns is known, be it empty. */
  isKnown = false;

  /** @param {import('/clients/js/livefold.js').CampaignView | import('/clients/js/livefold.js').CampaignLeftView} view */
  takeCampaign({ type, data }) {
    const id = data.campaignId;
    if (type !== 'campaign_left') this.#latest.set(id, data);
    // One that told that it is over stays to be looked at.
    else if (isUnderWay(this.#latest.get(id) ?? data)) this.#latest.delete(id);
    this.#changed.add(id);
    if (type !== 'campaign_left' && !isUnderWay(data)) this.#dropOldest((campaign) => !isUnderWay(campaign), MAX_OVER);
    if (this.#latest.size > MAX_CAMPAIGNS) this.#dropOldest(() => true, MAX_CAMPAIGNS);
  }

  /** @param {SystemHealth} health */
  takeHealth(health) {
    this.#latestHealth = health;
  }

  /** The totals of what came, for the chart; `null` before anything is known of campaigns. */
  get latestTotals() {
    return this.isKnown || this.#latest.size > 0 ? totalsOf(this.#latest.values()) : null;
  }

  /** What came, shown or not. */
  get latest() {
    return { campaigns: [...this.#latest.values()], health: this.#latestHealth };
  }

  /** Forgets all: who looks now may be somebody else. */
  clear() {
    for (const id of this.#latest.keys()) this.#changed.add(id);
    for (const id of this.campaigns.keys()) this.#changed.add(id);
    this.#latest.clear();
    this.#latestHealth = null;
    this.isKnown = false;
  }

  /** Shows what came; the ids of the campaigns that are now another. */
  commit() {
    const changed = this.#changed;
    for (const id of changed) {
      const data = this.#latest.get(id);
      if (data) this.campaigns.set(id, data);
      else this.campaigns.delete(id);
    }
    this.health = this.#latestHealth;
    this.#changed = new Set();
    return changed;
  }

  #dropOldest(isOfThese, limit) {
    const these = [...this.#latest.values()].filter(isOfThese);
    if (these.length <= limit) return;
    these.sort((a, b) => (a.updatedAt ?? '').localeCompare(b.updatedAt ?? ''));
    for (const { campaignId } of these.slice(0, these.length - limit)) {
      this.#latest.delete(campaignId);
      this.#changed.add(campaignId);
    }
  }
}

/**
 * Whether a campaign is one that the server lists: active or paused, or calls are still going on.
 * @param {CampaignMetrics} campaign
 */
export function isUnderWay({ status, activeCalls }) {
  return status === 'active' || status === 'paused' || activeCalls > 0;
}

/**
 * The campaigns that are under way together. Rates in percent, 0 where there is nothing to divide by. Those that are over
 * do not count: which of them a page knows depends on when it was opened.
 * @param {Iterable<CampaignMetrics>} campaigns
 */
export function totalsOf(campaigns) {
  const totals = { campaigns: 0, ...Object.fromEntries(SUMMED.map((name) => [name, 0])) };
  for (const campaign of campaigns) {
    if (!isUnderWay(campaign)) continue;
    totals.campaigns += 1;
    for (const name of SUMMED) totals[name] += campaign[name] ?? 0;
  }
  const share = (part, whole) => (whole > 0 ? (100 * part) / whole : 0);
  totals.answerRate = share(totals.answered, totals.totalAttempts);
  totals.conversionRate = share(totals.converted, totals.answered);
  totals.optOutRate = share(totals.optOuts, totals.totalAttempts);
  return totals;
}
