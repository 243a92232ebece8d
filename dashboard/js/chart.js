import uPlot from '../vendor/uplot/uPlot.esm.js';
import { byId, element, write } from './dom.js';
import { NONE, time } from './format.js';

/** Rows of the table that stands for the lines. */
const ROWS = 12;

/** Before there is enough to fill the time shown, so many seconds are shown at least: the lines grow, and then move. */
const SHORTEST = 60;

/** Every scale is divided into so many parts: the lines across then fit the numbers on both sides. */
const PARTS = 4;

/** Samples before there is a line to see. */
const ENOUGH = 3;

/** The drawing's name for screen readers holds its numbers; they are renewed so often, in samples. */
const RENAME = 5;

const FONT = '12px Inter, system-ui, sans-serif';

/**
 * @typedef {object} Line
 * @property {string} name of the history's series
 * @property {string} label
 * @property {string} tone a custom property of CSS
 * @property {(value: number) => string} format
 * @property {boolean} [isWhole] whether there are no halves of it
 * @property {boolean} [isFilled] whether what is below the line is washed with its colour
 * @property {boolean} [isRight] whether it is measured on the right
 */

/** Lines over the last minutes. The same in numbers: the legend, which follows the pointer, and a table. */
export class Chart {
  #host = byId('activity');
  #table = byId('activity-table');
  #title = byId('activity-title').textContent;
  #history;
  #lines;
  #settings;
  #plot;
  #entries = [];
  #waiting = element('p', { className: 'waiting', textContent: 'The lines begin with the first numbers.' });
  #sinceRename = 0;

  /**
   * @param {import('./history.js').History} history
   * @param {Line[]} lines
   * @param {import('./settings.js').Settings} settings
   */
  constructor(history, lines, settings) {
    this.#history = history;
    this.#lines = lines;
    this.#settings = settings;
    this.#makeLegend();
    this.#plot = this.#makePlot();
    this.#host.append(this.#waiting);
    new ResizeObserver(() => this.#fit()).observe(this.#host);
    const select = byId('activity-window');
    select.value = String(settings.get('window'));
    select.addEventListener('change', () => {
      settings.set('window', Number(select.value));
      this.show();
    });
    this.#table.addEventListener('toggle', () => this.#showTable());
  }

  /** Draws what the history has. */
  show() {
    const { times, values } = this.#history;
    this.#waiting.hidden = times.length >= ENOUGH;
    this.#plot.setData([times, ...this.#lines.map(({ name }) => values[name])]);
    this.#showLegend();
    if (this.#table.open) this.#showTable();
    if (this.#sinceRename++ % RENAME === 0) this.#rename();
  }

  /** Draws the same in the theme's other colours. */
  repaint() {
    this.#plot.redraw(false);
  }

  #makeLegend() {
    const hidden = this.#settings.get('hiddenLines');
    this.#entries = this.#lines.map((line, place) => {
      const swatch = element('i', { attributes: { 'aria-hidden': 'true' } });
      swatch.style.setProperty('--tone', `var(${line.tone})`);
      const value = element('b', { textContent: NONE });
      const isOn = !hidden.includes(line.name);
      const button = element(
        'button',
        { type: 'button', attributes: { 'aria-pressed': String(isOn) } },
        swatch,
        line.label,
        value,
      );
      if (line.isRight) button.dataset.dashed = '';
      button.addEventListener('click', () => this.#toggle(place));
      return { button, swatch, value };
    });
    byId('activity-legend').append(...this.#entries.map(({ button }) => button));
  }

  #toggle(place) {
    const { button } = this.#entries[place];
    const isOn = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(isOn));
    this.#plot.setSeries(place + 1, { show: isOn });
    const hidden = new Set(this.#settings.get('hiddenLines'));
    if (isOn) hidden.delete(this.#lines[place].name);
    else hidden.add(this.#lines[place].name);
    this.#settings.set('hiddenLines', [...hidden]);
  }

  #makePlot() {
    const quiet = () => getComputedStyle(this.#waiting).color;
    const faint = () => getComputedStyle(this.#host.closest('.panel')).borderTopColor;
    const tone = (place) => getComputedStyle(this.#entries[place].swatch).borderTopColor;
    const hidden = this.#settings.get('hiddenLines');
    const axis = { stroke: quiet, font: FONT, grid: { stroke: faint, width: 1 }, ticks: { show: false }, gap: 6 };
    const first = (isRight) => this.#lines.find((line) => Boolean(line.isRight) === isRight);
    const scale = (line) => ({
      ...axis,
      size: 44,
      splits: (_, __, ___, top) => Array.from({ length: PARTS + 1 }, (_part, place) => (top * place) / PARTS),
      values: (_, splits) => splits.map((value) => (value === null ? '' : line.format(value))),
    });
    const axes = [
      {
        ...axis,
        size: 28,
        space: 90,
        grid: { show: false },
        values: (_, splits, __, ___, step) => splits.map((at) => tick(at, step)),
      },
    ];
    axes.push({ ...scale(first(false)), scale: 'y' });
    if (first(true)) axes.push({ ...scale(first(true)), scale: 'right', side: 1, grid: { show: false } });
    return new uPlot(
      {
        width: Math.max(1, this.#host.clientWidth),
        height: Math.max(1, this.#host.clientHeight),
        padding: [10, first(true) ? 0 : 28, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: false, y: false, setScale: false }, y: false, points: { size: 7 } },
        scales: {
          x: { time: true, range: () => this.#range() },
          y: { range: fromZero(first(false)) },
          right: { range: fromZero(first(true)) },
        },
        axes,
        series: [
          {},
          ...this.#lines.map((line, place) => ({
            label: line.label,
            show: !hidden.includes(line.name),
            scale: line.isRight ? 'right' : 'y',
            stroke: () => tone(place),
            width: 2,
            dash: line.isRight ? [6, 4] : undefined,
            fill: line.isFilled ? () => tone(place).replace('rgb(', 'rgba(').replace(')', ', 0.09)') : undefined,
            points: { show: false },
          })),
        ],
        hooks: { setCursor: [() => this.#showLegend()] },
      },
      [[], ...this.#lines.map(() => [])],
      this.#host,
    );
  }

  #range() {
    const { times } = this.#history;
    const now = times.at(-1) ?? Math.round(Date.now() / 1000);
    const known = Math.max(SHORTEST, now - (times[0] ?? now));
    return [now - Math.min(this.#settings.get('window'), known), now];
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#host;
    if (width > 0 && height > 0) this.#plot.setSize({ width, height });
  }

  /** The numbers under the pointer, else the latest. */
  #showLegend() {
    const { times, values } = this.#history;
    const place = this.#plot?.cursor.idx ?? times.length - 1;
    for (const [index, { name, format }] of this.#lines.entries()) {
      const value = values[name][place];
      write(this.#entries[index].value, value === undefined || value === null ? NONE : format(value));
    }
  }

  #rename() {
    const { values } = this.#history;
    const now = this.#lines
      .map(({ name, label, format }) => `${label} ${format(values[name].at(-1) ?? NaN)}`)
      .join(', ');
    this.#host.setAttribute(
      'aria-label',
      `${this.#title}: lines over the last ${this.#settings.get('window') / 60} minutes. Now: ${now}.`,
    );
  }

  #showTable() {
    if (!this.#table.open) return;
    const { times, values } = this.#history;
    const step = this.#settings.get('window') / ROWS;
    const head = element(
      'tr',
      {},
      ...['Time', ...this.#lines.map(({ label }) => label)].map((text) =>
        element('th', { scope: 'col', textContent: text }),
      ),
    );
    const rows = [];
    // Minutes of before, seconds since: by the clock, not by the number of samples.
    let next = Infinity;
    for (let place = times.length - 1; place >= 0 && rows.length < ROWS; place -= 1) {
      if (times[place] > next) continue;
      next = times[place] - step;
      const cells = this.#lines.map(({ name, format }) =>
        element('td', { textContent: format(values[name][place] ?? NaN) }),
      );
      rows.push(element('tr', {}, element('th', { scope: 'row', textContent: time(times[place] * 1000) }), ...cells));
    }
    const table = element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows));
    const scroll = this.#table.querySelector('.scroll') ?? element('div', { className: 'scroll' });
    scroll.replaceChildren(table);
    this.#table.append(scroll);
  }
}

/**
 * A scale that begins at nothing, leaves some air, and can be divided without a rest that would not be shown.
 * @param {Line | undefined} line
 */
function fromZero(line) {
  const finest = line?.isWhole ? 1 : 0.1;
  return (_, __, high) => {
    let magnitude = 10 ** Math.floor(Math.log10(Math.max(high ?? 0, finest)));
    for (;;) {
      for (const factor of [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8]) {
        const top = factor * magnitude;
        const steps = top / finest / PARTS;
        if (top >= (high ?? 0) * 1.08 && Math.abs(steps - Math.round(steps)) < 1e-6) return [0, top];
      }
      magnitude *= 10;
    }
  };
}

/** @param {number} at seconds since 1970 @param {number} step seconds between two ticks */
function tick(at, step) {
  return step < 60 ? time(at * 1000) : time(at * 1000).slice(0, 5);
}
