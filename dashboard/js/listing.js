import { csvOf, download } from './csv.js';
import { byId, element, write } from './dom.js';
import { Filter } from './filter.js';

/** The columns of the exported table, as the campaigns have them. */
const COLUMNS = [
  'campaignId',
  'campaignName',
  'status',
  'activeCalls',
  'queueDepth',
  'dialingRate',
  'totalAttempts',
  'answered',
  'busy',
  'failed',
  'converted',
  'optOuts',
  'answerRate',
  'conversionRate',
  'optOutRate',
  'averageCallDuration',
  'totalCost',
  'updatedAt',
];

/** Which of the campaigns are listed, in order: what the filter leaves of them. */
export class Listing {
  /** @type {import('/clients/js/livefold.js').CampaignMetrics[]} */
  campaigns = [];
  #board;
  #filter;
  #onChange;
  #announce;
  /** Whether it has to be made anew: it was asked for otherwise, or has others in it. */
  #isStale = true;
  /** What its members depend on, beside the filter. */
  #members = '';
  #said = '';

  /**
   * @param {import('./board.js').Board} board
   * @param {import('./settings.js').Settings} settings
   * @param {() => void} onChange it is to be drawn
   * @param {(text: string) => void} announce for screen readers
   */
  constructor(board, settings, onChange, announce) {
    this.#board = board;
    this.#onChange = onChange;
    this.#announce = announce;
    this.#filter = new Filter(settings, () => {
      this.renew();
      onChange();
    });
    byId('export').addEventListener('click', () => this.#export());
  }

  /** Whether the order depends on numbers that move. */
  get isByNumber() {
    return this.#filter.isByNumber;
  }

  /** Makes the list anew, with what it says where it is empty, when it is drawn next. */
  renew() {
    this.#isStale = true;
  }

  /**
   * Brings the list up to date; the ids of its campaigns that are now another, `null`: all.
   * @param {Set<string>} changed the ids of the campaigns that are now another
   * @param {Map<string, string>} alarms what is wrong with a campaign, by its id
   * @param {boolean} isRefused whether the list of campaigns is not to be had
   */
  update(changed, alarms, isRefused) {
    // A campaign that came, went or has another status may be listed where it was not; so may one with a new warning.
    if (changed.size > 0 || this.#filter.isOnlyAlarms) {
      const members = this.#membersNow(alarms);
      if (members !== this.#members) this.#isStale = true;
      this.#members = members;
    }
    if (this.#isStale) {
      this.#isStale = false;
      this.#make(alarms, isRefused);
      return null;
    }
    if (changed.size > 0)
      this.campaigns = this.campaigns.map(({ campaignId }) => this.#board.campaigns.get(campaignId)).filter(Boolean);
    return changed;
  }

  #membersNow(alarms) {
    let text = '';
    for (const { campaignId, campaignName, status } of this.#board.campaigns.values()) {
      text += `${campaignId} ${campaignName} ${status} ${this.#filter.isOnlyAlarms && alarms.has(campaignId)};`;
    }
    return text;
  }

  #make(alarms, isRefused) {
    this.campaigns = this.#filter.apply(this.#board.campaigns.values(), (id) => alarms.has(id));
    const all = this.#board.campaigns.size;
    const listed = this.campaigns.length;
    const text = this.#filter.isNarrow ? `${listed} of ${all}` : `${all}`;
    write(byId('campaign-count'), text);
    if (this.#filter.isNarrow && text !== this.#said) this.#announce(`${listed} of ${all} campaigns listed`);
    this.#said = text;
    byId('export').disabled = listed === 0;
    const box = byId('campaigns-empty');
    // That there is none is said only by a list that was had.
    box.hidden = listed > 0 || (all === 0 && !this.#board.isKnown && !isRefused);
    if (!box.hidden) box.replaceChildren(...this.#emptiness(all));
  }

  /** Why nothing is listed, and what to do. @param {number} all campaigns that there are */
  #emptiness(all) {
    if (all > 0) {
      const clear = element('button', { type: 'button', textContent: 'List all' });
      clear.addEventListener('click', () => {
        this.#filter.clear();
        this.renew();
        this.#onChange();
      });
      return [
        element('strong', { textContent: 'No campaign is like that' }),
        'Search for another name or id, or take the filter away.',
        element('br'),
        clear,
      ];
    }
    if (!this.#board.isKnown) {
      return [
        element('strong', { textContent: 'The campaigns cannot be listed' }),
        'Where the token does not open the list, the notice above says what to do. If this lasts, tell whoever runs Livefold.',
      ];
    }
    return [
      element('strong', { textContent: 'No campaign is active' }),
      'One appears here with its first record on the topic ',
      element('code', { textContent: 'campaign.events.v1' }),
      '. For something to look at: ',
      element('code', { textContent: 'cargo dev simulate' }),
    ];
  }

  #export() {
    const rows = this.campaigns.map((campaign) => COLUMNS.map((column) => campaign[column]));
    download('livefold-campaigns', csvOf(COLUMNS, rows));
    this.#announce(`${this.campaigns.length} campaigns exported`);
  }
}
