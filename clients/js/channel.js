/** What a campaign's channel begins with. */
export const CAMPAIGN = 'campaign:';

/** What the view of a channel is called, by the kind of the channel. */
const VIEW_TYPES = new Map([
  ['campaign', 'metrics_update'],
  ['system', 'system_health_update'],
  ['event', 'dashboard.update'],
]);

/**
 * What a channel's view is called.
 * @param {string} channel
 */
export function typeOf(channel) {
  return VIEW_TYPES.get(channel.split(':', 1)[0]) ?? 'view';
}

/** @param {string} channel of a campaign */
export function idOf(channel) {
  return channel.slice(CAMPAIGN.length);
}

/** @param {Array<{campaignId: string}>} campaigns as REST lists them */
export function idsOf(campaigns) {
  return campaigns.map(({ campaignId }) => campaignId);
}
