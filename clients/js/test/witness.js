import WebSocket from 'ws';
import { Livefold } from '../livefold.js';
import { until } from './until.js';

/** Short enough for a test, long enough for a machine that is busy compiling. In milliseconds. */
const TIMINGS = { backoffBase: 100, backoffCap: 500, connectTimeout: 5_000, answerTimeout: 5_000, pollAfter: 2_000 };

/** A client, and all that it told. */
export class Witness {
  statuses = [];
  views = [];
  errors = [];
  notices = [];

  constructor({ timings, ...options }) {
    this.live = new Livefold({ WebSocket, pollInterval: 200, timings: { ...TIMINGS, ...timings }, ...options });
    this.live.on('status', (change) => this.statuses.push(change));
    this.live.on('error', (error) => this.errors.push(error));
    this.live.on('notice', (notice) => this.notices.push(notice));
  }

  watch(...channels) {
    for (const channel of channels) this.live.subscribe(channel, (view) => this.views.push(view));
    return this;
  }

  /** Waits for a status; how it came to it. */
  async untilStatus(status) {
    await until(() => `${status}, ${this}`, () => this.live.status === status);
    return this.statuses.findLast((change) => change.status === status);
  }

  /** Waits for a view that is as wanted. */
  async untilShown(channel, condition = () => true) {
    const found = () => this.views.findLast((view) => view.channel === channel && condition(view));
    return until(() => `a view of ${channel}, ${this}`, found);
  }

  toString() {
    const { status } = this.live;
    return JSON.stringify({ status, statuses: this.statuses, errors: this.errors, newest: this.views.at(-1) });
  }
}
