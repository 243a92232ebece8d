import { byId, element, perFrame, write } from './dom.js';
import { count, duration, money, percent } from './format.js';
import { nameOf } from './name.js';
import { writeTime } from './timestamps.js';

/** The latest calls that are kept and shown. */
const MAX_CALLS = 60;

const WORDS = {
  call_queued: 'Queued',
  call_initiated: 'Dialled',
  call_answered: 'Answered',
  call_ended: 'Ended',
  dtmf_pressed: 'Key pressed',
  action_triggered: 'Action triggered',
};

const FACTS = [
  ['Attempts', ({ totalAttempts }) => count(totalAttempts)],
  ['Answered', ({ answered, answerRate }) => `${count(answered)} · ${percent(answerRate)}`],
  ['Converted', ({ converted, conversionRate }) => `${count(converted)} · ${percent(conversionRate)}`],
  ['Opted out', ({ optOuts, optOutRate }) => `${count(optOuts)} · ${percent(optOutRate)}`],
  ['Average call', ({ averageCallDuration }) => duration(averageCallDuration)],
  ['Total cost', ({ totalCost }) => money(totalCost)],
];

/** The selected campaign from nearby: what is not on its card, and its calls as they happen. */
export class Calls {
  #panel = byId('calls');
  #title = element('h3', { id: 'calls-title', tabIndex: -1 });
  #facts = FACTS.map(([label, tell]) => ({ label, tell, value: element('dd') }));
  #list = element('ol', { className: 'events', tabIndex: 0, attributes: { 'aria-label': 'Latest calls' } });
  #waiting = element('p', { className: 'empty', textContent: 'Calls appear here as they happen.' });
  #draw = perFrame(() => this.#drawNow());
  #onClose;
  #live = null;
  #campaign = '';
  #unsubscribe = () => {};
  /** Not drawn yet, oldest first. */
  #fresh = [];

  #past;

  /**
   * @param {() => void} onClose
   * @param {import('./past.js').Past} past shown between the campaign's numbers and its calls
   */
  constructor(onClose, past) {
    this.#onClose = onClose;
    this.#past = past;
    const facts = this.#facts.map(({ label, value }) =>
      element('div', {}, element('dt', { textContent: label }), value),
    );
    this.#panel.append(
      element('header', {}, this.#title, element('button', { type: 'button', textContent: 'Close', onclick: onClose })),
      element('dl', { className: 'facts' }, ...facts),
      past.panel,
      element('h4', { textContent: 'Latest calls' }),
      this.#waiting,
      this.#list,
    );
    this.#panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.#onClose();
    });
  }

  get campaign() {
    return this.#campaign;
  }

  /**
   * @param {import('/clients/js/livefold.js').Livefold} live
   * @param {() => boolean} isShownAtOnce whether a call is shown when it comes, or with `showLatest`
   */
  follow(live, isShownAtOnce) {
    this.#live = live;
    live.on('notice', ({ type, data, timestamp }) => {
      if (type !== 'call_event' || data.campaignId !== this.#campaign) return;
      this.#fresh.push({ ...data, at: timestamp });
      if (this.#fresh.length > MAX_CALLS) this.#fresh.shift();
      if (isShownAtOnce()) this.#draw();
    });
  }

  /** Shows the calls that came: the viewer's pace lets them through. */
  showLatest() {
    if (this.#fresh.length > 0) this.#draw();
  }

  /**
   * Watches a campaign's calls.
   * @param {string} campaignId
   * @param {(view: import('/clients/js/livefold.js').CampaignView) => void} onView
   */
  open(campaignId, onView) {
    this.close();
    this.#campaign = campaignId;
    this.#panel.hidden = false;
    this.#past.open(`campaign:${campaignId}`);
    this.#unsubscribe = this.#live?.subscribe(`campaign:${campaignId}`, onView) ?? (() => {});
  }

  close() {
    this.#unsubscribe();
    this.#unsubscribe = () => {};
    this.#past.close();
    this.#campaign = '';
    this.#fresh = [];
    this.#list.replaceChildren();
    this.#list.hidden = true;
    this.#waiting.hidden = false;
    this.#panel.hidden = true;
  }

  /** Where the cards are elsewhere on the screen, the viewer is led here. */
  focus() {
    this.#title.focus({ preventScroll: false });
  }

  /** @param {import('/clients/js/livefold.js').CampaignMetrics} campaign */
  show(campaign) {
    write(this.#title, nameOf(campaign));
    for (const { tell, value } of this.#facts) write(value, tell(campaign));
  }

  #drawNow() {
    const rows = this.#fresh.flatMap(({ at, eventType, callId, leftOut }) => {
      const when = element('time');
      writeTime(when, at);
      const row = element(
        'li',
        {},
        when,
        element('span', { textContent: WORDS[eventType] ?? eventType }),
        element('code', { textContent: callId, title: callId }),
      );
      if (!leftOut) return [row];
      return [element('li', {}, element('time'), element('span', { textContent: `and ${count(leftOut)} more` })), row];
    });
    this.#fresh = [];
    this.#list.prepend(...rows.reverse());
    while (this.#list.children.length > MAX_CALLS) this.#list.lastElementChild.remove();
    this.#list.hidden = this.#list.children.length === 0;
    this.#waiting.hidden = !this.#list.hidden;
  }
}
