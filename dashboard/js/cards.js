import { mark, write } from './dom.js';
import { NONE, signed } from './format.js';

/** The trend is over so many seconds. */
const MINUTE = 60;

/** Samples that a card's little line shows. */
const SPARK = 60;

/** … and the room that it is given at least. */
const SHORTEST = 20;

/** The big numbers. */
export class Cards {
  #cards;
  #formats;

  /**
   * @param {Element} host
   * @param {Record<string, {format: (value: number) => string, unit?: string, hasTrend?: boolean}>} formats by the metric's name
   */
  constructor(host, formats) {
    this.#formats = formats;
    this.#cards = [...host.querySelectorAll('[data-metric]')].map((node) => {
      const number = node.querySelector('.number');
      const { unit } = formats[node.dataset.metric];
      const value = document.createTextNode(NONE);
      number.replaceChildren(value);
      if (unit) {
        const small = document.createElement('small');
        small.textContent = unit;
        number.append(small);
      }
      const line = node.querySelector('.spark polyline');
      return { node, name: node.dataset.metric, value, trend: node.querySelector('.trend'), line, alarm: '' };
    });
  }

  /**
   * @param {Record<string, number>} values
   * @param {Map<string, string>} [alarms] what is wrong with a number, by the metric's name
   */
  show(values, alarms = new Map()) {
    for (const card of this.#cards) {
      const text = this.#formats[card.name].format(values[card.name]);
      if (card.value.data !== text) card.value.data = text;
      const alarm = alarms.get(card.name) ?? '';
      mark(card.node, 'alarm', alarm !== '');
      if (alarm !== '' || card.alarm !== '') write(card.trend, alarm);
      card.alarm = alarm;
    }
  }

  /** @param {import('./history.js').History} history */
  showTrends(history) {
    for (const card of this.#cards) {
      const tail = history.tail(card.name, SPARK);
      card.line.setAttribute('points', points(tail));
      if (card.alarm !== '') continue;
      const change = history.change(card.name, MINUTE);
      const isKnown = change !== null && Math.abs(change) >= 0.05;
      write(
        card.trend,
        isKnown ? `${signed(Math.round(change * 10) / 10)} in a minute` : change === null ? '' : 'as a minute ago',
      );
    }
  }
}

/** @param {Array<number | null>} values newest last; drawn into 100 × 30 */
function points(values) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return '';
  const low = Math.min(...known);
  const height = Math.max(...known) - low || 1;
  // A short line is not squeezed into the corner.
  const length = Math.max(values.length, SHORTEST);
  const start = length - values.length;
  return values
    .map((value, place) => (value === null ? null : [start + place, value]))
    .filter(Boolean)
    .map(
      ([place, value]) =>
        `${((100 * place) / (length - 1)).toFixed(1)},${(28 - (26 * (value - low)) / height).toFixed(1)}`,
    )
    .join(' ');
}
