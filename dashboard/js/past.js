import uPlot from '../vendor/uplot/uPlot.esm.js';
import { element, write } from './dom.js';
import { NONE } from './format.js';
import { addressWith, between, lately, local, rangeOf } from './range.js';

/** What can be chosen, in the order of the list. */
const CHOICES = [
  ['hour', 'Last hour'],
  ['day', 'Last 24 hours'],
  ['week', 'Last 7 days'],
  ['month', 'Last 30 days'],
  ['custom', 'Custom…'],
];

/** Milliseconds between two questions while the range ends now: the step that is going on grows. */
const AGAIN = 15_000;

const FONT = '12px Inter, system-ui, sans-serif';

/**
 * @typedef {object} Line
 * @property {string} name of the value in the history
 * @property {string} label
 * @property {string} tone a custom property of CSS
 * @property {(value: number) => string} format
 * @property {boolean} [isGauge] whether it is how things stood at the end of a step, and not what came in it
 */

/** What a channel's numbers were, step by step. Full as soon as it is there. */
export class Past {
  /** To be put where it is to be seen. */
  panel;
  #lines;
  #isPaused;
  #live = null;
  #channel = '';
  #range = rangeOf(location.search, Date.now());
  #plot = null;
  #points = [];
  /** The question that is waited for. */
  #asking = new AbortController();
  #timer = 0;
  #host = element('div', { className: 'chart past', role: 'img' });
  #state = element('p', { className: 'waiting' });
  #legend = element('ul', { className: 'past-legend' });
  #values = [];
  #select = element('select', { id: 'past-range' });
  #from = element('input', {
    type: 'datetime-local',
    required: true,
    attributes: { 'aria-describedby': 'past-problem' },
  });
  #to = element('input', {
    type: 'datetime-local',
    required: true,
    attributes: { 'aria-describedby': 'past-problem' },
  });
  #problem = element('p', { id: 'past-problem', className: 'problem', attributes: { role: 'alert' } });
  #custom = element('form', { className: 'past-custom', hidden: true });
  #failure = element('p', { className: 'past-failure', hidden: true });
  #table = element('details', { className: 'as-table' }, element('summary', { textContent: 'As a table' }));

  /**
   * @param {Line[]} lines the first is drawn as bars
   * @param {string} level the element of its heading
   * @param {() => boolean} isPaused whether the viewer wants the numbers to stand still
   */
  constructor(lines, level, isPaused) {
    this.#lines = lines;
    this.#isPaused = isPaused;
    for (const [value, textContent] of CHOICES) this.#select.append(element('option', { value, textContent }));
    this.#select.value = this.#range.name;
    this.#select.addEventListener('change', () => this.#choose());
    this.#custom.append(
      element('label', { className: 'field' }, 'From', this.#from),
      element('label', { className: 'field' }, 'To', this.#to),
      element('button', { type: 'submit', textContent: 'Show' }),
      this.#problem,
    );
    this.#custom.noValidate = true;
    this.#custom.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#chooseCustom();
    });
    const again = element('button', { type: 'button', textContent: 'Try again' });
    again.addEventListener('click', () => void this.#ask());
    this.#failure.append(element('span'), again);
    this.#failure.setAttribute('role', 'status');
    for (const { label, tone } of lines) {
      const swatch = element('i', { attributes: { 'aria-hidden': 'true' } });
      swatch.style.setProperty('--tone', `var(${tone})`);
      const value = element('b', { textContent: NONE });
      this.#values.push({ swatch, value });
      this.#legend.append(element('li', {}, swatch, label, value));
    }
    this.#host.append(this.#state);
    this.#table.addEventListener('toggle', () => this.#showTable());
    this.panel = element(
      'div',
      { className: 'past-panel' },
      element(
        'header',
        {},
        element(level, { textContent: 'History' }),
        element(
          'div',
          { className: 'field' },
          element('label', { htmlFor: 'past-range', textContent: 'Range' }),
          this.#select,
        ),
      ),
      this.#custom,
      this.#failure,
      this.#legend,
      this.#host,
      this.#table,
    );
    new ResizeObserver(() => this.#fit()).observe(this.#host);
    if (this.#range.name === 'custom') this.#showCustom();
  }

  /** @param {import('/clients/js/livefold.js').Livefold} live */
  follow(live) {
    this.#live = live;
  }

  /** Shows a channel's past, and goes on with it. @param {string} channel */
  open(channel) {
    this.close();
    this.#channel = channel;
    void this.#ask();
  }

  /** Shows nothing. */
  close() {
    this.#asking.abort();
    clearTimeout(this.#timer);
    this.#channel = '';
    this.#points = [];
    this.#failure.hidden = true;
    this.#plot?.destroy();
    this.#plot = null;
  }

  /** Draws the same in the theme's other colours. */
  repaint() {
    this.#plot?.redraw(false);
  }

  #choose() {
    const name = this.#select.value;
    this.#custom.hidden = name !== 'custom';
    if (name === 'custom') {
      this.#showCustom();
    } else {
      this.#take(lately(name, Date.now()));
    }
  }

  #showCustom() {
    this.#custom.hidden = false;
    this.#from.value = local(this.#range.from);
    this.#to.value = local(this.#range.to);
  }

  #chooseCustom() {
    const range = between(this.#from.value, this.#to.value, Date.now());
    const isRange = typeof range !== 'string';
    write(this.#problem, isRange ? '' : range);
    for (const input of [this.#from, this.#to]) input.setAttribute('aria-invalid', String(!isRange));
    if (isRange) this.#take(range);
  }

  #take(range) {
    this.#range = range;
    window.history.replaceState(null, '', addressWith(location.href, range));
    // What was is not of this time.
    this.#points = [];
    this.#show();
    if (this.#channel) void this.#ask();
  }

  async #ask() {
    this.#asking.abort();
    clearTimeout(this.#timer);
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    if (this.#range.isLive && this.#range.name !== 'custom') this.#range = lately(this.#range.name, Date.now());
    const { from, to, step } = this.#range;
    if (this.#points.length === 0) this.#tell('Loading what was …');
    try {
      const timeZone = step === 'day' ? Intl.DateTimeFormat().resolvedOptions().timeZone : undefined;
      const span = { from: new Date(from), to: new Date(Math.min(to, Date.now())), step, timeZone, signal };
      const { points } = (await this.#live?.history(this.#channel, span)) ?? { points: [] };
      if (signal.aborted) return;
      this.#points = points;
      this.#failure.hidden = true;
      this.#show();
    } catch (error) {
      if (signal.aborted) return;
      // Nothing was ever heard of it: that is no failure.
      if (error.code === 'not_found') {
        this.#points = [];
        this.#show();
      } else {
        this.#failure.hidden = false;
        write(this.#failure.firstElementChild, `The past cannot be shown: ${error.message}`);
        this.#tell(this.#points.length === 0 ? 'Nothing to show' : '');
      }
    }
    this.#askAgain();
  }

  /** While the range goes on, somebody looks, and the numbers are to move by themselves. */
  #askAgain() {
    if (!this.#range.isLive) return;
    this.#timer = setTimeout(() => {
      if (document.hidden || this.#isPaused()) this.#askAgain();
      else void this.#ask();
    }, AGAIN);
  }

  #tell(text) {
    write(this.#state, text);
    this.#state.hidden = text === '';
  }

  #show() {
    this.#tell(this.#points.length === 0 ? 'Nothing is known of this time.' : '');
    const times = this.#points.map(({ at }) => Date.parse(at) / 1000);
    const values = this.#lines.map(({ name }) => this.#points.map((point) => point.values[name] ?? null));
    this.#plot ??= this.#makePlot();
    this.#plot.setData([times, ...values]);
    this.#showLegend();
    this.#rename();
    this.#showTable();
  }

  #makePlot() {
    const quiet = () => getComputedStyle(this.#state).color;
    const faint = () => getComputedStyle(this.#legend).borderTopColor;
    const tone = (place) => getComputedStyle(this.#values[place].swatch).borderTopColor;
    const axis = { stroke: quiet, font: FONT, grid: { stroke: faint, width: 1 }, ticks: { show: false }, gap: 6 };
    const bars = uPlot.paths.bars({ size: [0.7, 24], align: 1 });
    const series = this.#lines.map((line, place) => ({
      label: line.label,
      stroke: () => tone(place),
      // Bars of all would hide each other.
      width: place === 0 ? 0 : 2,
      dash: line.isGauge ? [6, 4] : undefined,
      fill: place === 0 ? () => tone(place) : undefined,
      paths: place === 0 ? bars : undefined,
      points: { show: false },
    }));
    return new uPlot(
      {
        width: Math.max(1, this.#host.clientWidth),
        height: Math.max(1, this.#host.clientHeight),
        padding: [10, 12, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: false, y: false, setScale: false }, y: false, points: { size: 7 } },
        scales: {
          x: { time: true, range: () => this.#ends() },
          y: { range: (_, __, high) => [0, Math.max(1, (high ?? 0) * 1.08)] },
        },
        axes: [
          { ...axis, size: 28, space: 80, grid: { show: false }, values: (_, at) => at.map((one) => this.#tick(one)) },
          { ...axis, size: 44 },
        ],
        series: [{}, ...series],
        hooks: { setCursor: [() => this.#showLegend()] },
      },
      [[], ...this.#lines.map(() => [])],
      this.#host,
    );
  }

  /** From the step that the range begins in to the end of the last one. */
  #ends() {
    const { from, to, step } = this.#range;
    const seconds = { minute: 60, hour: 3_600, day: 86_400 }[step];
    const [first, last] = [this.#points[0], this.#points.at(-1)].map((point) => point && Date.parse(point.at) / 1000);
    return [Math.min(from / 1000, first ?? Infinity), Math.max(to / 1000, (last ?? 0) + seconds)];
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#host;
    if (width > 0 && height > 0) this.#plot?.setSize({ width, height });
  }

  /** The numbers under the pointer, else the latest. */
  #showLegend() {
    const point = this.#points[this.#plot?.cursor.idx ?? this.#points.length - 1];
    for (const [place, { name, format }] of this.#lines.entries()) {
      const value = point?.values[name] ?? null;
      write(this.#values[place].value, value === null ? NONE : format(value));
    }
  }

  #rename() {
    const sums = this.#lines
      .filter(({ isGauge }) => !isGauge)
      .map(({ name, label, format }) => {
        const sum = this.#points.reduce((all, { values }) => all + (values[name] ?? 0), 0);
        return `${label} ${format(sum)}`;
      });
    const label = `History by ${this.#range.step}, ${this.#points.length} steps. In all: ${sums.join(', ')}.`;
    this.#host.setAttribute('aria-label', label);
  }

  #showTable() {
    if (!this.#table.open) return;
    const heads = ['Time', ...this.#lines.map(({ label }) => label)];
    const head = element('tr', {}, ...heads.map((textContent) => element('th', { scope: 'col', textContent })));
    const rows = this.#points.toReversed().map(({ at, values }) =>
      element(
        'tr',
        {},
        element('th', { scope: 'row', textContent: this.#name(Date.parse(at)) }),
        ...this.#lines.map(({ name, format }) => {
          const value = values[name] ?? null;
          return element('td', { textContent: value === null ? NONE : format(value) });
        }),
      ),
    );
    const table = element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows));
    const scroll = this.#table.querySelector('.scroll') ?? element('div', { className: 'scroll', tabIndex: 0 });
    scroll.setAttribute('role', 'group');
    scroll.setAttribute('aria-label', 'History as a table');
    scroll.replaceChildren(table);
    this.#table.append(scroll);
  }

  #name(at) {
    const day = { year: 'numeric', month: 'short', day: 'numeric' };
    const options = this.#range.step === 'day' ? day : { ...day, hour: '2-digit', minute: '2-digit' };
    return new Intl.DateTimeFormat(undefined, options).format(at);
  }

  #tick(at) {
    const isDay = this.#range.to - this.#range.from > 2 * 86_400_000;
    const options = isDay ? { month: 'short', day: 'numeric' } : { hour: '2-digit', minute: '2-digit' };
    return new Intl.DateTimeFormat(undefined, options).format(at * 1000);
  }
}
