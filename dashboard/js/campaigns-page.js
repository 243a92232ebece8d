import { Alarms } from './alarms.js';
import { Board, totalsOf } from './board.js';
import { Calls } from './calls.js';
import { Campaigns } from './campaigns.js';
import { Cards } from './cards.js';
import { Chart } from './chart.js';
import { connect } from './connection.js';
import { csvOf, download } from './csv.js';
import { byId, element, perFrame, spaced, write } from './dom.js';
import { Filter } from './filter.js';
import { count, rate } from './format.js';
import { Health } from './health.js';
import { History } from './history.js';
import { Notices } from './notices.js';
import { OUTCOMES, outcomesOf, Ring } from './outcomes.js';
import { Pace } from './pace.js';
import { Progress } from './progress.js';
import { settingsOfThisBrowser } from './settings.js';
import { StatusPill } from './status.js';
import { offerThemes } from './theme.js';
import { offerThresholds, Thresholds } from './thresholds.js';

/** Milliseconds between two looks at an order that depends on numbers: cards that jump cannot be read. */
const REORDER = 5_000;

/**
 * Milliseconds between two times that what came is drawn. Nobody reads faster; and the frames between are free for
 * scrolling, on a slow machine with many campaigns too.
 */
const BETWEEN = 80;

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

const settings = settingsOfThisBrowser();
const board = new Board();
const history = new History(['activeCalls', 'queueDepth', 'dialingRate', 'totalAttempts']);
const notices = new Notices();
const status = new StatusPill();
const alarms = new Alarms(settings, (text) => status.announce(text));
const thresholds = new Thresholds(settings);

const cards = new Cards(byId('cards'), {
  activeCalls: { format: count },
  queueDepth: { format: count },
  dialingRate: { format: rate, unit: 'calls/s' },
  totalAttempts: { format: count },
});
const chart = new Chart(
  history,
  [
    { name: 'activeCalls', label: 'Active calls', tone: '--series-1', format: count, isWhole: true, isFilled: true },
    { name: 'queueDepth', label: 'Queue depth', tone: '--series-2', format: count, isWhole: true },
    { name: 'dialingRate', label: 'Dialing rate, right', tone: '--series-3', format: rate, isRight: true },
  ],
  settings,
);
const ring = new Ring(byId('outcomes'), OUTCOMES, 'Outcomes of all attempts', 'attempts');
const progress = new Progress(byId('progress'));
const health = new Health(byId('health'));
const campaigns = new Campaigns(select);
const calls = new Calls(() => select(''));
const filter = new Filter(settings, () => {
  isListStale = true;
  draw();
});

/** The campaigns that are listed, in order. */
let listed = [];
/** Whether the list has to be made anew: it was asked for otherwise, or has others in it. */
let isListStale = true;
/** Whether something came that the pace lets through. */
let isDue = false;
let statuses = '';
let listing = '';

const draw = perFrame(() => {
  const changed = isDue ? board.commit() : new Set();
  const hasShown = isDue && (board.isKnown || board.campaigns.size > 0 || board.health !== null);
  isDue = false;
  const totals = totalsOf(board.campaigns.values());
  alarms.take(thresholds.check(totals, board.campaigns.values(), board.health), Date.now());
  if (board.isKnown || board.campaigns.size > 0) showCampaigns(totals, changed);
  health.show(board.health, alarms.byMetric('system'));
  write(document.querySelector('title'), `${alarms.count > 0 ? `(${alarms.count}) ` : ''}Campaigns · Livefold`);
  if (!hasShown) return;
  pace.shown();
  status.updated();
});

const drawSoon = spaced(draw, BETWEEN);

const pace = new Pace(settings, () => {
  isDue = true;
  drawSoon();
});

function showCampaigns(totals, changed) {
  document.body.classList.remove('loading');
  cards.show(totals, alarms.byMetric('total'));
  ring.show(outcomesOf(totals), totals.totalAttempts);
  const byCampaign = alarms.byCampaign;
  // A campaign that came, went or has another status may be listed where it was not; so may one with a new warning.
  const now = changed.size > 0 || filter.isOnlyAlarms ? statusesOf(byCampaign) : statuses;
  if (now !== statuses) isListStale = true;
  statuses = now;
  if (isListStale) list(byCampaign);
  else if (changed.size > 0) listed = listed.map(({ campaignId }) => board.campaigns.get(campaignId)).filter(Boolean);
  const which = isListStale ? null : changed;
  isListStale = false;
  campaigns.show(listed, which, byCampaign);
  progress.show(listed, which);
  const selected = board.campaigns.get(calls.campaign);
  if (selected) calls.show(selected);
  else if (calls.campaign) select('');
}

/** What the list's members depend on, beside the filter. */
function statusesOf(byCampaign) {
  let text = '';
  for (const { campaignId, campaignName, status: its } of board.campaigns.values()) {
    text += `${campaignId} ${campaignName} ${its} ${filter.isOnlyAlarms && byCampaign.has(campaignId)};`;
  }
  return text;
}

function list(byCampaign) {
  listed = filter.apply(board.campaigns.values(), (id) => byCampaign.has(id));
  const all = board.campaigns.size;
  const text = filter.isNarrow ? `${listed.length} of ${all}` : `${all}`;
  write(byId('campaign-count'), text);
  if (filter.isNarrow && text !== listing) status.announce(`${listed.length} of ${all} campaigns listed`);
  listing = text;
  byId('export').disabled = listed.length === 0;
  showEmpty(all);
}

function showEmpty(all) {
  const box = byId('campaigns-empty');
  box.hidden = listed.length > 0;
  if (listed.length > 0) return;
  const clear = element('button', { type: 'button', textContent: 'List all' });
  clear.addEventListener('click', () => {
    filter.clear();
    isListStale = true;
    draw();
  });
  box.replaceChildren(
    ...(all > 0
      ? [
          element('strong', { textContent: 'No campaign is like that' }),
          'Search for another name or id, or take the filter away.',
          element('br'),
          clear,
        ]
      : [
          element('strong', { textContent: 'No campaign is active' }),
          'One appears here with its first record on the topic ',
          element('code', { textContent: 'campaign.events.v1' }),
          '. For something to look at: ',
          element('code', { textContent: 'cargo dev simulate' }),
        ]),
  );
}

function select(campaignId) {
  const before = calls.campaign;
  if (campaignId === '') calls.close();
  else calls.open(campaignId, takeCampaign);
  campaigns.select(campaignId);
  if (campaignId === '') campaigns.focus(before);
  else calls.focus();
  draw();
}

function takeCampaign(view) {
  board.takeCampaign(view);
  pace.came();
}

byId('export').addEventListener('click', () => {
  download(
    'livefold-campaigns',
    csvOf(
      COLUMNS,
      listed.map((campaign) => COLUMNS.map((column) => campaign[column])),
    ),
  );
  status.announce(`${listed.length} campaigns exported`);
});

offerThemes(settings, () => chart.repaint());
offerThresholds(thresholds, settings, () => {
  alarms.clear();
  draw();
});

document.body.classList.add('loading');
void connect({
  notices,
  status,
  onClient: (live) => {
    pace.follow(live);
    calls.follow(live);
    live.subscribe('campaigns', takeCampaign);
    live.subscribe('system', ({ data }) => {
      board.takeHealth(data);
      pace.came();
    });
    live.on('notice', ({ type, data }) => {
      if (type !== 'campaign_status_change') return;
      const name = board.campaigns.get(data.campaignId)?.campaignName || data.campaignId;
      status.announce(`${name} is now ${data.status}`);
    });
    // Only the list itself can say that it is empty.
    const learn = async () => {
      if (board.isKnown) return;
      board.isKnown = await live.refresh();
      pace.came();
    };
    void learn();
    live.on('status', ({ status: now }) => {
      if (now === 'live' || now === 'polling') void learn();
    });
    setInterval(() => {
      const isConnected = live.status === 'live' || live.status === 'polling';
      history.add(Math.round(Date.now() / 1000), isConnected ? board.latestTotals : null);
      if (document.hidden || settings.get('pace') === 'manual') return;
      cards.showTrends(history);
      chart.show();
      // Where nothing changes, what is shown is still as new as what was heard.
      if (settings.get('pace') === 'live') status.updated();
      draw();
    }, 1000);
    setInterval(() => {
      if (!filter.isByNumber || campaigns.isInUse) return;
      isListStale = true;
      draw();
    }, REORDER);
  },
});
