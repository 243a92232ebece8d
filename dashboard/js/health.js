import { arrange, element, mark, write } from './dom.js';
import { count, duration, NONE, percent } from './format.js';
import { writeTime } from './timestamps.js';

const GAUGES = [
  { name: 'cpuUsage', label: 'CPU', format: percent, isShare: true },
  { name: 'memoryUsage', label: 'Memory', format: percent, isShare: true },
  { name: 'answerRate', label: 'Answer rate', format: percent, isShare: true },
  { name: 'activeCampaigns', label: 'Active campaigns', format: count },
];

/** Records of these topics are expected all the time; the names that people see. */
const TOPICS = new Map([
  ['campaign.events.v1', 'Last call record'],
  ['dialer.health.v1', 'Last dialer reading'],
  ['platform.analytics.check-in.v1', 'Last check-in'],
  ['platform.analytics.events.v1', 'Last audience record'],
]);

/** The dialers and Livefold itself. */
export class Health {
  #gauges;
  #nodes = element('tbody');
  /** @type {Map<string, ReturnType<typeof makeRow>>} */
  #rows = new Map();
  #pipeline = element('dl', { className: 'pipeline' });
  /** @type {Map<string, {line: HTMLElement, value: HTMLElement}>} */
  #facts = new Map();
  #none = element('p', { className: 'empty', textContent: 'No dialer has told of itself yet.' });
  #before = null;

  /** @param {Element} host */
  constructor(host) {
    this.#gauges = GAUGES.map((gauge) => {
      const value = element('dd', { textContent: NONE });
      const bar = gauge.isShare ? element('i') : null;
      const node = element('div', {}, element('dt', { textContent: gauge.label }), value);
      if (bar) {
        bar.style.transform = 'scaleX(0)';
        node.append(element('dd', { className: 'meter', attributes: { 'aria-hidden': 'true' } }, bar));
      }
      return { ...gauge, node, value, bar };
    });
    const heads = ['Node', 'CPU', 'Memory', 'Calls', 'Seen'].map((text) =>
      element('th', { scope: 'col', textContent: text }),
    );
    host.append(
      element('dl', { className: 'gauges' }, ...this.#gauges.map(({ node }) => node)),
      element('h3', { textContent: 'Dialers' }),
      element('table', { className: 'nodes' }, element('thead', {}, element('tr', {}, ...heads)), this.#nodes),
      this.#none,
      element('h3', { textContent: 'Livefold' }),
      this.#pipeline,
    );
  }

  /**
   * @param {import('/clients/js/livefold.js').SystemHealth | null} health
   * @param {Map<string, string>} alarms what is wrong, by the gauge's name
   */
  show(health, alarms) {
    for (const { node, name } of this.#gauges) mark(node, 'alarm', alarms.has(name));
    if (!health || health === this.#before) return;
    this.#before = health;
    for (const { name, format, value, bar } of this.#gauges) {
      write(value, format(health[name]));
      if (bar) bar.style.transform = `scaleX(${(Math.min(100, Math.max(0, health[name] ?? 0)) / 100).toFixed(3)})`;
    }
    this.#showNodes(health.nodes ?? []);
    this.#showPipeline(health.pipeline ?? {});
  }

  #showNodes(nodes) {
    const sorted = [...nodes].sort((a, b) => a.nodeId.localeCompare(b.nodeId, undefined, { numeric: true }));
    for (const id of this.#rows.keys()) if (!nodes.some(({ nodeId }) => nodeId === id)) this.#rows.delete(id);
    for (const node of sorted) {
      const row = this.#rows.get(node.nodeId) ?? makeRow(node.nodeId);
      this.#rows.set(node.nodeId, row);
      mark(row.row, 'stale', node.stale);
      const texts = [percent(node.cpuUsage), percent(node.memoryUsage), count(node.activeCalls)];
      texts.forEach((text, place) => write(row.cells[place], text));
      row.silent.hidden = !node.stale;
      writeTime(row.seen, node.seenAt);
    }
    arrange(
      this.#nodes,
      sorted.map(({ nodeId }) => this.#rows.get(nodeId).row),
    );
    this.#none.hidden = nodes.length > 0;
  }

  #showPipeline({ secondsSinceRecord = {}, publisherLeaseAgeSeconds, connections, kafkaCluster }) {
    const facts = Object.entries(secondsSinceRecord).map(([topic, seconds]) => [
      TOPICS.get(topic) ?? topic,
      `${duration(seconds)} ago`,
    ]);
    facts.push(['Publisher’s lease', duration(publisherLeaseAgeSeconds)], ['Connections', count(connections)]);
    if (kafkaCluster) facts.push(['Kafka cluster', kafkaCluster]);
    const labels = new Set(facts.map(([label]) => label));
    for (const label of this.#facts.keys()) if (!labels.has(label)) this.#facts.delete(label);
    for (const [label, text] of facts) {
      const value = this.#facts.get(label)?.value ?? element('dd');
      if (!this.#facts.has(label))
        this.#facts.set(label, { value, line: element('div', {}, element('dt', { textContent: label }), value) });
      write(value, text);
    }
    arrange(
      this.#pipeline,
      facts.map(([label]) => this.#facts.get(label).line),
    );
  }
}

function makeRow(nodeId) {
  const cells = Array.from({ length: 3 }, () => element('td'));
  const [silent, seen] = [element('span', { textContent: 'silent since ' }), element('time')];
  const head = element('th', { scope: 'row', textContent: nodeId });
  return { row: element('tr', {}, head, ...cells, element('td', {}, silent, seen)), cells, silent, seen };
}
