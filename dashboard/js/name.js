/** What nobody sees: space, controls, what only directs or joins other characters, and the blank of Braille. */
const UNSEEN = /[\p{White_Space}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Turns the reading direction of what stands beside the name as well. */
const TURNING = /\p{Bidi_Control}/gu;

/**
 * What to call something: its name, or its id where nothing would be seen of the name.
 * @param {string | null | undefined} name
 * @param {string} id
 */
export function nameOr(name, id) {
  if (!name || name.replaceAll(UNSEEN, '') === '') return id;
  return name.replaceAll(TURNING, '');
}

/** @param {{campaignId: string, campaignName: string | null}} campaign */
export function nameOf({ campaignId, campaignName }) {
  return nameOr(campaignName, campaignId);
}
