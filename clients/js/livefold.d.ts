/** Client for Livefold's live dashboards. The wire is described in docs/protocol.md. */

/** What a client can watch. */
export type Channel = `campaign:${string}` | 'campaigns' | 'system' | `event:${string}`;

/**
 * - `connecting`: no socket was ever open, and no attempt has failed;
 * - `live`: a socket is open;
 * - `reconnecting`: the socket was lost, or could not be opened, and is tried again;
 * - `polling`: the same, while REST shows what there is to show;
 * - `offline`: neither can be had, and both are tried again; also while paused, and after `close()`;
 * - `unauthorized`: the token was refused; left by `reconnect()`, or when the token function gives another token;
 * - `replaced`: the user opened more connections than are allowed, and this one, the least active, had to go. Nothing is
 *   tried any more; left by `reconnect()`.
 */
export type Status = 'connecting' | 'live' | 'reconnecting' | 'polling' | 'offline' | 'unauthorized' | 'replaced';

/** A token, or what gives one: called for every connection and shortly before a token ends. */
export type TokenSource = string | (() => string | Promise<string>);

export interface Options {
  /** Where sockets are opened: `wss://…`. */
  url: string;
  /** Where the REST API is: `https://…`. Without it there is no polling, and the token itself opens the socket. */
  rest?: string | null;
  token: TokenSource;
  /** The WebSocket class. Node before 22 has none of its own: pass that of the package `ws`. With `null` there is only polling. */
  WebSocket?: WebSocketClass | null;
  fetch?: typeof globalThis.fetch;
  /** Whether to disconnect while the page is hidden. Default: false. */
  pauseWhenHidden?: boolean;
  /** Milliseconds between two rounds of polling. Default: 2000. */
  pollInterval?: number;
  /** A ping is sent at least every so many milliseconds. Default: 300,000. */
  heartbeat?: number;
  /** Everything else that takes time, mostly for tests. */
  timings?: Partial<Timings>;
  /** Between 0 and 1. Default: `Math.random`. */
  random?: () => number;
  /** Default: the system's. */
  clock?: Clock;
  /** Tells whether the page is hidden and whether there is a network. Default: `globalThis`. */
  window?: object;
}

/** In milliseconds; `timings.js` has the defaults and says why. */
export interface Timings {
  connectTimeout: number;
  requestTimeout: number;
  answerTimeout: number;
  silence: number;
  renewSocketAfter: number;
  renewTokenBefore: number;
  stableAfter: number;
  pollAfter: number;
  farewellAfter: number;
  pauseAfter: number;
  backoffBase: number;
  backoffCap: number;
  longestWait: number;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  setTimeout(work: () => void, milliseconds: number): unknown;
  clearTimeout(timer: any): void;
}

/** What of a WebSocket is used. */
export interface WebSocketLike {
  readonly readyState: number;
  /** The subprotocol that the server chose. */
  readonly protocol?: string;
  send(data: string): void;
  close(): void;
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: any) => void): void;
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike;

/** A channel as it is now. */
export interface View<Data = unknown, Type extends string = string> {
  /** For handlers of `campaigns` that of the campaign. */
  channel: string;
  type: Type;
  data: Data;
  /** When it was made, RFC 3339. */
  timestamp: string;
  /** How far it has come; `null` for a campaign out of a polled list. */
  cursor: string | null;
  source: 'socket' | 'poll';
}

export type CampaignView = View<CampaignMetrics, 'metrics_update'>;

/** A campaign that is no longer on the list, and of which no more can be told. */
export type CampaignLeftView = View<{ campaignId: string }, 'campaign_left'>;

export type SystemView = View<SystemHealth, 'system_health_update'>;

export type EventView = View<LiveDashboardData, 'dashboard.update'>;

export type ViewOf<C extends string> = C extends `campaign:${string}`
  ? CampaignView
  : C extends 'campaigns'
    ? CampaignView | CampaignLeftView
    : C extends 'system'
      ? SystemView
      : C extends `event:${string}`
        ? EventView
        : View;

export type CampaignStatus = 'draft' | 'scheduled' | 'active' | 'paused' | 'completed' | 'cancelled';

/** Rates in percent, `dialingRate` in calls per second, durations in seconds. */
export interface CampaignMetrics {
  campaignId: string;
  campaignName: string | null;
  status: CampaignStatus;
  activeCalls: number;
  queueDepth: number;
  dialingRate: number;
  totalAttempts: number;
  answered: number;
  busy: number;
  failed: number;
  converted: number;
  optOuts: number;
  answerRate: number;
  conversionRate: number;
  optOutRate: number;
  averageCallDuration: number;
  totalCost: number;
  updatedAt: string | null;
}

/** Usage and rates in percent. */
export interface SystemHealth {
  cpuUsage: number;
  memoryUsage: number;
  activeCalls: number;
  queueDepth: number;
  answerRate: number;
  activeCampaigns: number;
  nodes: Array<{
    nodeId: string;
    cpuUsage: number;
    memoryUsage: number;
    activeCalls: number | null;
    seenAt: string;
    /** Whether it has been silent for more than 30 seconds. */
    stale: boolean;
  }>;
  pipeline: {
    secondsSinceRecord: Record<string, number>;
    publisherLeaseAgeSeconds: number | null;
    connections: number;
    kafkaCluster: string | null;
  };
}

export interface LiveDashboardData {
  totalMessages: number;
  totalVotes: number;
  totalQuestions: number;
  totalUpvotes: number;
  totalReactions: number;
  /** Newest first. */
  liveCheckInFeed: Array<{
    id: string;
    name: string;
    /** When, RFC 3339; older servers do not tell. */
    timestamp?: string;
  }>;
}

/** A message as the server sent it, alone or with others in a frame. */
export interface Message {
  type: string;
  channel?: string;
  /** In `subscribed`, the channels whose views follow. */
  channels?: string[];
  data?: unknown;
  timestamp: string;
  cursor?: string;
}

/** Something that happened, beside the views. */
export type Notice =
  | (Message & {
      type: 'call_event';
      /** `leftOut` is how many more there were. */
      data: { campaignId: string; callId: string; eventType: string; leftOut?: number };
    })
  | (Message & {
      type: 'campaign_status_change';
      data: { campaignId: string; status: CampaignStatus; previousStatus: CampaignStatus | null };
    });

export type HistoryStep = 'minute' | 'hour' | 'day';

/** At most 1,500 steps are told at once; more is refused with `invalid_request`. */
export interface HistoryRange {
  /** A string as RFC 3339 has it. */
  from: Date | string;
  to: Date | string;
  step: HistoryStep;
  /** Whose days are meant, an IANA name. Only with the step `day`; default: UTC. */
  timeZone?: string;
  /** Takes the question back: it is then rejected with the signal's reason. */
  signal?: AbortSignal;
}

/** Counts and averages are of one step; `null` is what is not known. */
export type HistoryValues = Record<string, number | null>;

/** `activeCalls` and `queueDepth` are as they stood at the end of the step. */
export type CampaignHistoryValues = {
  [Name in Exclude<keyof CampaignMetrics, 'campaignId' | 'campaignName' | 'status' | 'updatedAt' | 'activeCalls' | 'queueDepth'>]: number;
} & { activeCalls: number | null; queueDepth: number | null };

export type HistoryValuesOf<C extends string> = C extends `campaign:${string}` ? CampaignHistoryValues : HistoryValues;

/** What a channel's numbers were. The first point is the first step of which anything is known. */
export interface History<Values = HistoryValues> {
  channel: string;
  from: string;
  to: string;
  step: HistoryStep;
  /** Oldest first; `at` is when the step begins. */
  points: Array<{ at: string; values: Values }>;
}

export interface StatusChange {
  status: Status;
  previous: Status;
  /** An error code, or `closed` or `hidden`; `null` while live. */
  reason: string | null;
  /** When the next attempt to open a socket begins. */
  retryAt: Date | null;
}

/** Something that went wrong. It never holds a token. */
export interface LivefoldError {
  /** Stable: one of the server's codes, or one of the client's that the README lists. */
  code: string;
  /** For people. */
  message: string;
  /** What the server was asked for. */
  action?: string;
  /** Whose view cannot be had, where that is known. */
  channel?: string;
  /** What to do about it, for people. */
  help: string;
}

export interface Events {
  status: StatusChange;
  error: LivefoldError;
  /** Every message of the socket. */
  message: Message;
  notice: Notice;
}

/** Shows channels as they move: over a socket, and by polling where none can be had. It connects at once. */
export declare class Livefold {
  /** Throws a `TypeError` if the options make no sense. */
  constructor(options: Options);

  readonly status: Status;
  /** When something was last shown, or found to be as it was shown. */
  readonly lastUpdate: Date | null;
  /** When the next attempt to open a socket begins. */
  readonly retryAt: Date | null;

  /** Calls the handler with each newer view of a channel. The function that it returns takes this back. */
  subscribe<C extends Channel | (string & {})>(channel: C, handler: (view: ViewOf<C>) => void): () => void;

  /** Takes back one subscription to a channel, or all. */
  unsubscribe(channel: string, handler?: (view: any) => void): void;

  /** Calls the handler with each event. The function that it returns takes this back. */
  on<E extends keyof Events>(event: E, handler: (value: Events[E]) => void): () => void;

  /** Shows every channel anew; resolves with whether that could be done, and never rejects. */
  refresh(): Promise<boolean>;

  /**
   * What a channel's numbers were, step by step, over REST. Rejects with a `LivefoldError`, of which the event `error` does not
   * tell; nothing is tried again. Throws a `TypeError` in the same way where the range is none.
   */
  history<C extends Channel | (string & {})>(channel: C, range: HistoryRange): Promise<History<HistoryValuesOf<C>>>;

  /** Connects now, also after `unauthorized` and `replaced`. A socket that is open stays until the new one has taken over. */
  reconnect(): void;

  /** Ends everything, for good. */
  close(): void;
}
