import { element, write } from './dom.js';
import { count, percent } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const RADIUS = 42;

/**
 * What became of the attempts, as parts of a whole: who converted or opted out had answered, and is counted once.
 * @param {import('/clients/js/livefold.js').CampaignMetrics} campaign or the totals of some
 */
export function outcomesOf({ totalAttempts, answered, busy, failed, converted, optOuts }) {
  return [
    converted,
    Math.max(0, answered - converted - optOuts),
    optOuts,
    busy,
    failed,
    Math.max(0, totalAttempts - answered - busy - failed),
  ];
}

/** In the order of `outcomesOf`. */
export const OUTCOMES = [
  { label: 'Converted', tone: '--converted' },
  { label: 'Answered only', tone: '--answered' },
  { label: 'Opted out', tone: '--opted-out' },
  { label: 'Busy', tone: '--busy' },
  { label: 'Failed', tone: '--failed' },
  { label: 'No outcome yet', tone: '--open' },
];

/**
 * A stacked bar as one background.
 * @param {number[]} parts in the order of `tones`
 * @param {number} whole what the bar's full length stands for
 * @param {string[]} tones
 */
export function stackOf(parts, whole, tones) {
  if (!(whole > 0)) return '';
  const stops = [];
  let end = 0;
  for (const [place, part] of parts.entries()) {
    if (!(part > 0)) continue;
    end += (100 * part) / whole;
    const to = Math.min(100, end).toFixed(2);
    stops.push(`var(${tones[place]}) 0 calc(${to}% - 1px)`, `var(--surface) 0 ${to}%`);
  }
  return stops.length ? `linear-gradient(to right, ${stops.join(', ')}, var(--sunken) 0)` : '';
}

/** Parts of a whole: a ring, and beside it the same in numbers. */
export class Ring {
  #arcs;
  #rows;
  #middle;
  #before = '';

  /**
   * @param {Element} host
   * @param {Array<{label: string, tone: string}>} parts
   * @param {string} caption what is counted
   * @param {string} unit below the number in the middle
   */
  constructor(host, parts, caption, unit) {
    const circle = (className) => {
      const node = document.createElementNS(SVG, 'circle');
      for (const [name, value] of Object.entries({ cx: 50, cy: 50, r: RADIUS, pathLength: 100, class: className }))
        node.setAttribute(name, value);
      return node;
    };
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', '0 0 100 100');
    svg.setAttribute('aria-hidden', 'true');
    this.#arcs = parts.map(({ tone }) => {
      const arc = circle('arc');
      arc.style.stroke = `var(${tone})`;
      return arc;
    });
    svg.append(circle('track'), ...this.#arcs);
    this.#middle = element('b');
    this.#rows = parts.map(({ label, tone }) => {
      const swatch = element('i', { attributes: { 'aria-hidden': 'true' } });
      swatch.style.setProperty('--tone', `var(${tone})`);
      const [number, share] = [element('td', { textContent: '–' }), element('td')];
      const row = element('tr', {}, element('th', { scope: 'row' }, swatch, label), number, share);
      return { row, number, share };
    });
    host.append(
      element(
        'div',
        { className: 'ring' },
        svg,
        element('div', { className: 'middle' }, this.#middle, element('span', { textContent: unit })),
      ),
      element(
        'table',
        {},
        element('caption', { className: 'unseen', textContent: caption }),
        element('tbody', {}, ...this.#rows.map(({ row }) => row)),
      ),
    );
  }

  /**
   * @param {number[]} values in the parts' order
   * @param {number} total shown in the middle
   */
  show(values, total) {
    const now = `${values} ${total}`;
    if (now === this.#before) return;
    this.#before = now;
    const whole = values.reduce((sum, value) => sum + value, 0);
    const gap = values.filter((value) => value > 0).length > 1 ? 0.7 : 0;
    let from = 0;
    for (const [place, value] of values.entries()) {
      const share = whole > 0 ? (100 * value) / whole : 0;
      const length = value > 0 ? Math.max(0.5, share - gap) : 0;
      this.#arcs[place].setAttribute('stroke-dasharray', `${length.toFixed(2)} 100`);
      this.#arcs[place].setAttribute('stroke-dashoffset', (-from).toFixed(2));
      // A dash of no length would still be seen as a dot in some browsers.
      this.#arcs[place].style.visibility = length > 0 ? '' : 'hidden';
      write(this.#rows[place].number, count(value));
      write(this.#rows[place].share, whole > 0 ? percent(share) : '');
      from += share;
    }
    write(this.#middle, count(total));
  }
}
