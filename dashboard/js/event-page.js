import { minutesBefore } from './before.js';
import { Cards } from './cards.js';
import { Chart } from './chart.js';
import { CheckIns } from './checkins.js';
import { connect } from './connection.js';
import { csvOf, download } from './csv.js';
import { byId, element, perFrame } from './dom.js';
import { count } from './format.js';
import { History } from './history.js';
import { Notices } from './notices.js';
import { Ring } from './outcomes.js';
import { Pace } from './pace.js';
import { Past } from './past.js';
import { MAX_EVENTS, settingsOfThisBrowser } from './settings.js';
import { StatusPill } from './status.js';
import { offerThemes } from './theme.js';
import { followDays } from './timestamps.js';
import { TOKEN_CHANGED } from './token.js';

const COUNTERS = [
  { name: 'totalMessages', label: 'Messages', tone: '--series-1' },
  { name: 'totalVotes', label: 'Poll votes', tone: '--series-2' },
  { name: 'totalQuestions', label: 'Questions', tone: '--series-3' },
  { name: 'totalUpvotes', label: 'Upvotes', tone: '--series-4' },
  { name: 'totalReactions', label: 'Reactions', tone: '--series-5' },
];

const CHECK_INS = { name: 'checkIns', label: 'Check-ins', tone: '--ink', format: count };

/** Milliseconds until the past is asked for again that was not to be had. */
const REFILL = 15_000;

/** The chart's lines say how much happened within so many seconds, scaled to a minute: long enough to be calm. */
const SPAN = 20;

const eventId = new URLSearchParams(location.search).get('event')?.trim() ?? '';
const isWellFormed = /^[A-Za-z0-9._:-]{1,128}$/.test(eventId);

const settings = settingsOfThisBrowser();
const notices = new Notices();
const status = new StatusPill();
const totals = new History(COUNTERS.map(({ name }) => name));
const pulse = new History(COUNTERS.map(({ name }) => name));

const cards = new Cards(byId('cards'), Object.fromEntries(COUNTERS.map(({ name }) => [name, { format: count }])));
const chart = new Chart(
  pulse,
  COUNTERS.map((counter) => ({ ...counter, format: count, isWhole: true })),
  settings,
);
const ring = new Ring(byId('shares'), COUNTERS, 'Shares of what the audience did', 'in all');
const past = new Past(
  [...COUNTERS.map((counter) => ({ ...counter, format: count })), CHECK_INS],
  'h2',
  () => settings.get('pace') === 'manual',
);
const checkIns = new CheckIns(byId('checkins'), byId('checkins-empty'));

let latest = null;
let shown = null;
let isDue = false;

const draw = perFrame(() => {
  if (isDue && latest) {
    shown = latest;
    pace.shown();
    status.updated();
  }
  isDue = false;
  if (!shown) return;
  byId('event-empty').hidden = true;
  byId('event-board').hidden = false;
  byId('export').disabled = false;
  cards.show(shown);
  const values = COUNTERS.map(({ name }) => shown[name]);
  ring.show(
    values,
    values.reduce((sum, value) => sum + value, 0),
  );
  checkIns.show(shown.liveCheckInFeed ?? []);
});

const pace = new Pace(
  settings,
  () => {
    isDue = true;
    draw();
  },
  (text) => status.announce(text),
);

function sample(isConnected) {
  const now = Math.round(Date.now() / 1000);
  totals.add(now, isConnected ? latest : null);
  const rates = Object.fromEntries(COUNTERS.map(({ name }) => [name, totals.perMinute(name, SPAN)]));
  pulse.add(now, isConnected ? rates : null);
  if (document.hidden || settings.get('pace') === 'manual') return;
  cards.showTrends(totals);
  chart.show();
  // Where nothing changes, what is shown is still as new as what was heard.
  if (settings.get('pace') === 'live' && shown) status.updated();
}

function showEmpty(title, ...text) {
  const box = byId('event-empty');
  box.hidden = false;
  box.replaceChildren(element('strong', { textContent: title }), ...text);
}

function showWaiting() {
  showEmpty('Waiting for the first numbers', 'They come when the event’s first record has been counted.');
}

byId('export').addEventListener('click', () => {
  const rows = COUNTERS.map(({ label, name }) => ['total', label, shown[name]]);
  const feed = (shown.liveCheckInFeed ?? []).map(({ id, name }) => ['check-in', name, id]);
  download(`livefold-event-${eventId}`, csvOf(['kind', 'name', 'value'], [...rows, ...feed]));
});

byId('event-id').value = eventId;
byId('event-ids').append(...settings.get('events').map((id) => element('option', { value: id })));
byId('past').append(past.panel);
offerThemes(settings, () => {
  chart.repaint();
  past.repaint();
});
followDays();

if (isWellFormed) {
  byId('event-title').textContent = eventId;
  document.title = `${eventId} · Livefold`;
  settings.set('events', [eventId, ...settings.get('events').filter((id) => id !== eventId)].slice(0, MAX_EVENTS));
  showWaiting();
} else if (eventId) {
  showEmpty('This is no event’s id', 'An id has 1 to 128 letters, digits and . _ : -');
} else {
  showEmpty(
    'Which event?',
    'Enter its id above. The simulator of “cargo dev” has ',
    element('code', { textContent: 'evt_1' }),
    ' and ',
    element('code', { textContent: 'evt_2' }),
    '.',
  );
}

void connect({
  notices,
  status,
  onClient: (live) => {
    pace.follow(live);
    past.follow(live);
    if (!isWellFormed) return;
    let isFilled = false;
    const begin = () => {
      if (isFilled) return;
      isFilled = true;
      past.open(`event:${eventId}`);
      void fill();
    };
    // While it fails the lines begin with the present.
    const fill = async () => {
      const names = COUNTERS.map(({ name }) => name);
      try {
        const before = await minutesBefore(live, [`event:${eventId}`], names);
        if (!isFilled) return;
        pulse.fill(before);
        chart.show();
      } catch {
        setTimeout(() => isFilled && void fill(), REFILL);
      }
    };
    let isRefused = false;
    live.on('error', ({ code, channel }) => {
      if (code !== 'forbidden' || channel !== `event:${eventId}` || latest) return;
      isRefused = true;
      showEmpty(
        'This token does not open this event',
        'Ask whoever gave it to you for one that does, and enter it above.',
      );
    });
    live.subscribe(`event:${eventId}`, ({ data }) => {
      latest = data;
      begin();
      pace.came();
    });
    // Of an event without a record nothing comes at all; that it was asked for in vain is all there is to tell.
    const learn = async () => {
      const isAnswered = await live.refresh();
      if (!isAnswered || isRefused || latest) return;
      showEmpty(
        'Nothing has been heard of this event yet',
        'Check the id. If it is right, just wait: its first record shows here by itself.',
      );
    };
    void learn();
    live.on('status', ({ status: now }) => {
      if (now === 'live' || now === 'polling') void learn();
    });
    document.addEventListener(TOKEN_CHANGED, () => {
      isRefused = false;
      latest = shown = null;
      totals.clear();
      pulse.clear();
      past.close();
      isFilled = false;
      byId('event-board').hidden = true;
      byId('export').disabled = true;
      showWaiting();
    });
    setInterval(() => sample(live.status === 'live' || live.status === 'polling'), 1000);
  },
});
