// Compiled, never run: the whole API, as a strict TypeScript program uses it.
import WebSocket from 'ws';
import { Livefold } from 'livefold';
import type { CampaignMetrics, Events, LivefoldError, Message, Notice, Options, Status, StatusChange, View } from 'livefold';

const least: Options = { url: 'wss://example.com', token: 'token' };
const most: Options = {
  url: 'wss://example.com',
  rest: 'https://example.com/api',
  token: async () => 'token',
  WebSocket,
  fetch: globalThis.fetch,
  pauseWhenHidden: true,
  pollInterval: 2_000,
  heartbeat: 300_000,
  timings: { silence: 60_000 },
  random: Math.random,
  clock: { now: Date.now, setTimeout, clearTimeout },
  window: globalThis,
};
new Livefold(least).close();
const live: Livefold = new Livefold(most);

const status: Status = live.status;
const lastUpdate: number | undefined = live.lastUpdate?.getTime();
const retryAt: Date | null = live.retryAt;

const unsubscribe: () => void = live.subscribe('campaign:c-17', (view) => {
  const metrics: CampaignMetrics = view.data;
  const texts: [string, string | null, 'socket' | 'poll'] = [view.timestamp, view.cursor, view.source];
  return [metrics.dialingRate.toFixed(1), texts];
});
live.subscribe('campaigns', (view) => {
  // A campaign that left has no metrics.
  if (view.type === 'campaign_left') return view.data.campaignId;
  // @ts-expect-error there is no such number
  view.data.nonsense;
  return view.data.answerRate.toFixed(1);
});
live.subscribe('system', ({ data }) => data.nodes.map(({ nodeId, stale }) => [nodeId, stale]));
live.subscribe('event:evt_1', ({ data }) => data.liveCheckInFeed[0]?.name);
const name: string = 'read from somewhere';
live.subscribe(name, (view: View) => view.data);
live.unsubscribe('system');
live.unsubscribe('system', () => {});

live.on('status', ({ status, previous, reason, retryAt }: StatusChange) => [status, previous, reason, retryAt?.getTime()]);
live.on('error', ({ code, message, action, channel, help }: LivefoldError) => [code, message, action, channel, help]);
live.on('message', (message: Message) => message.type);
live.on('notice', (notice: Notice) => {
  if (notice.type === 'call_event') return notice.data.eventType;
  return notice.data.previousStatus;
});
// @ts-expect-error no such event
live.on('open', () => {});
// @ts-expect-error a status is only told
live.status = 'live';
// @ts-expect-error the token is needed
new Livefold({ url: 'wss://example.com' });

const handler = (change: Events['status']): void => void change;
const off: () => void = live.on('status', handler);
const isRefreshed: Promise<boolean> = live.refresh();
live.reconnect();

const from = new Date();
const past = live.history('campaign:c-17', { from, to: '2026-01-15T10:30:00Z', step: 'day', timeZone: 'Europe/Berlin' });
const attempts: Promise<number[]> = past.then(({ points }) => points.map(({ values }) => values.totalAttempts));
// @ts-expect-error a gauge may not be known
const calls: Promise<number[]> = past.then(({ points }) => points.map(({ values }) => values.activeCalls));
// @ts-expect-error no such step
live.history('campaign:c-17', { from, to: from, step: 'week' });
live.close();

export { attempts, calls, isRefreshed, lastUpdate, off, retryAt, status, unsubscribe };
