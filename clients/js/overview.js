import { CAMPAIGN, idOf, idsOf, typeOf } from './channel.js';
import { Alarm } from './clock.js';
import { Roster } from './roster.js';

/**
 * @typedef {import('./livefold.js').View} View
 * @typedef {import('./rest.js').Answer} Answer
 */

/** Campaigns that leave at once and whose last view is asked for; of the others it is only told that they left. */
const MAX_FAREWELLS = 10;

/**
 * @typedef {object} Listeners
 * @property {() => boolean} isWatched whether anybody watches `campaigns`
 * @property {(channel: string) => Promise<Answer | null | undefined>} look a channel as it is now, if that can be had
 * @property {(view: View, askedAt: number) => void} show a view that was asked for
 * @property {(view: View) => void} left a campaign left, and no more can be told
 */

/** The channel `campaigns`: whose views go to its handlers, and who left it. */
export class Overview {
  #clock;
  #farewellAfter;
  #listeners;
  #farewell;
  #roster = new Roster();

  /**
   * @param {object} setup
   * @param {import('./clock.js').Clock} setup.clock
   * @param {import('./livefold.js').Timings} setup.timings
   * @param {Listeners} listeners
   */
  constructor({ clock, timings }, listeners) {
    this.#clock = clock;
    this.#farewellAfter = timings.farewellAfter;
    this.#listeners = listeners;
    this.#farewell = new Alarm(clock);
  }

  /**
   * Whether a campaign is on the list, as far as is known.
   * @param {string} channel of the campaign
   */
  has(channel) {
    return this.#roster.has(idOf(channel));
  }

  /**
   * Takes in the view of a campaign; whether those who watch `campaigns` are to see it.
   * @param {View} view
   */
  note({ channel, data }) {
    return this.#roster.note(idOf(channel), /** @type {any} */ (data) ?? {}, this.#clock.now());
  }

  /**
   * Shows a list that was asked for, campaign by campaign, and says farewell to those who left it.
   * @param {Answer} answer
   * @param {number} askedAt
   * @param {(channel: string) => boolean} isWatchedAlone such a campaign is asked for by itself, and then has a cursor
   */
  list({ data, timestamp }, askedAt, isWatchedAlone) {
    const campaigns = /** @type {any[]} */ (data);
    for (const campaign of campaigns) {
      const channel = CAMPAIGN + campaign.campaignId;
      const view = /** @type {View} */ ({ channel, type: typeOf(channel), data: campaign, timestamp, cursor: null, source: 'poll' });
      if (isWatchedAlone(channel)) this.note(view);
      else this.#listeners.show(view, askedAt);
    }
    void this.#bidFarewell(this.#roster.leave(idsOf(campaigns), askedAt));
  }

  /** Looks a little later who left while no socket was open: it will not tell. */
  lookLater() {
    if (!this.#roster.isEmpty) this.#farewell.set(this.#farewellAfter, () => void this.#findLeft());
  }

  /** Takes back `lookLater`. */
  rest() {
    this.#farewell.clear();
  }

  clear() {
    this.#roster.clear();
  }

  async #findLeft() {
    const askedAt = this.#clock.now();
    const answer = await this.#listeners.look('campaigns');
    if (Array.isArray(answer?.data)) await this.#bidFarewell(this.#roster.leave(idsOf(answer.data), askedAt));
  }

  /**
   * Shows campaigns that left once more, as they are now.
   * @param {string[]} ids
   */
  async #bidFarewell(ids) {
    for (const [index, id] of ids.entries()) {
      const channel = CAMPAIGN + id;
      const askedAt = this.#clock.now();
      const last = index < MAX_FAREWELLS ? await this.#listeners.look(channel) : null;
      if (!this.#listeners.isWatched() || this.#roster.has(id)) continue;
      if (last) {
        this.#showLast(channel, last, askedAt);
      } else {
        const timestamp = new Date(this.#clock.now()).toISOString();
        this.#listeners.left({ channel, type: 'campaign_left', data: { campaignId: id }, timestamp, cursor: null, source: 'poll' });
      }
    }
  }

  /**
   * @param {string} channel
   * @param {Answer} last
   * @param {number} askedAt
   */
  #showLast(channel, { data, timestamp, cursor }, askedAt) {
    const id = idOf(channel);
    // Once more among the others, so that this view is shown as theirs are. One that is active after all is back.
    this.#roster.note(id, {}, this.#clock.now());
    this.#listeners.show({ channel, type: typeOf(channel), data, timestamp, cursor, source: 'poll' }, askedAt);
    // Of a server that lists only active ones, a paused one is looked at until its calls have ended, and then no more.
    const { status, activeCalls } = /** @type {any} */ (data) ?? {};
    if (status === 'paused' && !(activeCalls > 0)) this.#roster.forget(id);
  }
}
