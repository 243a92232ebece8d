import { Alarms } from './alarms.js';
import { minutesBefore } from './before.js';
import { Board, isUnderWay, totalsOf } from './board.js';
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
import { Past } from './past.js';
import { Progress } from './progress.js';
import { settingsOfThisBrowser } from './settings.js';
import { StatusPill } from './status.js';
import { offerThemes } from './theme.js';
import { followDays } from './timestamps.js';
import { offerThresholds, Thresholds } from './thresholds.js';
import { TOKEN_CHANGED } from './token.js';

/** Milliseconds between two looks at an order that depends on numbers: cards that jump cannot be read. */
const REORDER = 5_000;

/**
 * Milliseconds between two times that what came is drawn. Nobody reads faster; and the frames between are free for
 * scrolling, on a slow machine with many campaigns too.
 */
const BETWEEN = 80;

/** Milliseconds between two looks at the thresholds. */
const CHECK = 1_000;

/** Milliseconds until the past is asked for again that was not to be had. */
const REFILL = 15_000;

/** Errors with which the list of campaigns may be refused while other channels are answered. */
const OF_THE_LIST = ['forbidden', 'internal', 'unavailable', 'invalid_answer'];

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
const past = new Past(
  [
    { name: 'totalAttempts', label: 'Attempts', tone: '--series-2', format: count },
    { name: 'answered', label: 'Answered', tone: '--series-1', format: count },
    { name: 'converted', label: 'Converted', tone: '--series-3', format: count },
    { name: 'activeCalls', label: 'Active calls', tone: '--series-5', format: count, isGauge: true },
  ],
  'h4',
  () => settings.get('pace') === 'manual',
);
const calls = new Calls(() => select(''), past);
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
/** Whether the list of campaigns is not to be had, as far as is known. */
let isRefused = false;
let checkedAt = 0;
let statuses = '';
let listing = '';

const draw = perFrame(() => {
  const changed = isDue ? board.commit() : new Set();
  const hasShown = isDue && (board.isKnown || board.campaigns.size > 0 || board.health !== null);
  isDue = false;
  const hasCampaigns = board.isKnown || board.campaigns.size > 0;
  // What was shown once is also taken away once nothing is known any more.
  const isLoading = document.body.classList.contains('loading');
  if (hasCampaigns || isRefused || !isLoading)
    showCampaigns(hasCampaigns ? totalsOf(board.campaigns.values()) : {}, changed);
  health.show(board.health, alarms.byMetric('system'));
  if (!hasShown) return;
  pace.shown();
  status.updated();
});

/**
 * Looks whether something is beyond its threshold. Not part of drawing: a warning has to come while the page is hidden,
 * which draws nothing, and as soon as it holds, however seldom the viewer wants the numbers to move.
 */
function check() {
  checkedAt = Date.now();
  const latest = board.latest;
  alarms.take(thresholds.check(totalsOf(latest.campaigns), latest.campaigns, latest.health), checkedAt);
  write(document.querySelector('title'), `${alarms.count > 0 ? `(${alarms.count}) ` : ''}Campaigns · Livefold`);
}

/** Something came. Timers of a hidden page may stand still for a minute; what comes on the socket does not wait. */
function came() {
  if (Date.now() - checkedAt >= CHECK) check();
  pace.came();
}

const drawSoon = spaced(draw, BETWEEN);

const pace = new Pace(
  settings,
  () => {
    isDue = true;
    calls.showLatest();
    drawSoon();
  },
  (text) => status.announce(text),
);

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
  // That there is none is said only by a list that was had.
  box.hidden = listed.length > 0 || (all === 0 && !board.isKnown && !isRefused);
  if (box.hidden) return;
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
      : !board.isKnown
        ? [
            element('strong', { textContent: 'The campaigns cannot be listed' }),
            'Where the token does not open the list, the notice above says what to do. If this lasts, tell whoever runs Livefold.',
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
  came();
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

offerThemes(settings, () => {
  chart.repaint();
  past.repaint();
});
followDays();
offerThresholds(thresholds, settings, () => {
  alarms.clear();
  check();
  draw();
});

document.body.classList.add('loading');
void connect({
  notices,
  status,
  onClient: (live) => {
    pace.follow(live);
    calls.follow(live, () => pace.isLive);
    past.follow(live);
    let isFilled = false;
    // Once the campaigns are known. While it fails the lines begin with the present.
    const fill = async () => {
      if (isFilled) return;
      isFilled = true;
      // Those whose numbers the lines add up.
      const channels = board.latest.campaigns.filter(isUnderWay).map(({ campaignId }) => `campaign:${campaignId}`);
      try {
        const before = await minutesBefore(live, channels, ['activeCalls', 'queueDepth', 'dialingRate']);
        if (!isFilled) return;
        history.fill(before);
        chart.show();
      } catch {
        isFilled = false;
        setTimeout(() => void fill(), REFILL);
      }
    };
    live.subscribe('campaigns', (view) => {
      isRefused = false;
      takeCampaign(view);
    });
    live.subscribe('system', ({ data }) => {
      board.takeHealth(data);
      came();
    });
    live.on('notice', ({ type, data }) => {
      if (type !== 'campaign_status_change') return;
      const name = board.campaigns.get(data.campaignId)?.campaignName || data.campaignId;
      status.announce(`${name} is now ${data.status}`);
    });
    // Only the list itself can say that it is empty. Other channels may be answered where it is refused.
    let isAsking = false;
    const learn = async () => {
      if (board.isKnown || isRefused || isAsking) return;
      isAsking = true;
      const isAnswered = await live.refresh();
      isAsking = false;
      board.isKnown = isAnswered && !isRefused;
      came();
      if (board.isKnown) void fill();
    };
    const setRefused = (isSo) => {
      if (isRefused === isSo) return;
      isRefused = isSo;
      isListStale = true;
      drawSoon();
    };
    live.on('error', ({ code, channel }) => {
      if (channel !== 'campaigns' || !OF_THE_LIST.includes(code)) return;
      if (code === 'forbidden') board.isKnown = false;
      setRefused(true);
    });
    live.on('message', ({ type, channel }) => {
      if (type !== 'subscribed' || channel !== 'campaigns') return;
      setRefused(false);
      void learn();
    });
    document.addEventListener(TOKEN_CHANGED, () => {
      if (calls.campaign) select('');
      board.clear();
      history.clear();
      isFilled = false;
      alarms.clear();
      check();
      setRefused(false);
      isListStale = isDue = true;
      draw();
    });
    void learn();
    live.on('status', ({ status: now }) => {
      if (now === 'live' || now === 'polling') void learn();
    });
    setInterval(() => {
      const isConnected = live.status === 'live' || live.status === 'polling';
      check();
      history.add(Math.round(Date.now() / 1000), isConnected ? board.latestTotals : null);
      if (document.hidden || settings.get('pace') === 'manual') return;
      cards.showTrends(history);
      chart.show();
      // Where nothing changes, what is shown is still as new as what was heard.
      if (settings.get('pace') === 'live') status.updated();
      draw();
    }, CHECK);
    setInterval(() => {
      if (live.status === 'live' || live.status === 'polling') void learn();
      if (!filter.isByNumber || campaigns.isInUse) return;
      isListStale = true;
      draw();
    }, REORDER);
  },
});
