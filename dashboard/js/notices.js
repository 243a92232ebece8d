import { byId, element } from './dom.js';

/**
 * @typedef {object} Notice
 * @property {'info' | 'warning' | 'error'} kind
 * @property {string} title
 * @property {string} text what happened, and what to do
 * @property {Array<{label: string, run: () => void}>} [actions]
 * @property {boolean} [isPassing] whether it may be closed by hand
 */

/** Tells what is wrong and what to do about it. One notice per topic: a newer one takes its place. */
export class Notices {
  #region = byId('notices');
  /** @type {Map<string, {node: HTMLElement, said: string}>} */
  #shown = new Map();

  /**
   * @param {string} topic
   * @param {Notice} notice
   */
  show(topic, { kind, title, text, actions = [], isPassing = false }) {
    const said = [kind, title, text, ...actions.map(({ label }) => label)].join(' ');
    // Said once: a screen reader would read it again.
    if (this.#shown.get(topic)?.said === said) return;
    const buttons = actions.map(({ label, run }) =>
      element('button', { type: 'button', textContent: label, onclick: run }),
    );
    if (isPassing)
      buttons.push(element('button', { type: 'button', textContent: 'Close', onclick: () => this.clear(topic) }));
    const node = element(
      'div',
      { className: 'notice', dataset: { kind, topic }, attributes: { role: kind === 'info' ? 'status' : 'alert' } },
      element('div', {}, element('strong', { textContent: title }), element('p', { textContent: text })),
      element('div', { className: 'actions' }, ...buttons),
    );
    const before = this.#shown.get(topic)?.node;
    if (before) before.replaceWith(node);
    else this.#region.append(node);
    this.#shown.set(topic, { node, said });
  }

  /** @param {string} topic */
  clear(topic) {
    this.#shown.get(topic)?.node.remove();
    this.#shown.delete(topic);
  }
}
