//! What clients see of a campaign.

use serde::Serialize;

use super::Status;
use crate::Timestamp;

/// What clients see of a campaign. Rates are percentages, 0 where the divisor is 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignMetrics {
    /// Which campaign.
    pub campaign_id: String,
    /// Its name for people, once a record has given one.
    pub campaign_name: Option<String>,
    /// Where it stands; a campaign that calls without ever having said is active.
    pub status: Status,
    /// Calls going on.
    pub active_calls: u64,
    /// Contacts that wait to be dialed.
    pub queue_depth: u64,
    /// Calls placed per second, over the last ten seconds.
    pub dialing_rate: f64,
    /// Calls ever placed.
    pub total_attempts: u64,
    /// Calls that somebody took.
    pub answered: u64,
    /// Calls that found the line busy.
    pub busy: u64,
    /// Calls that failed or that nobody answered.
    pub failed: u64,
    /// Calls that converted.
    pub converted: u64,
    /// Calls whose contact wants no more.
    pub opt_outs: u64,
    /// `answered` of `totalAttempts`, in percent.
    pub answer_rate: f64,
    /// `converted` of `answered`, in percent.
    pub conversion_rate: f64,
    /// `optOuts` of `totalAttempts`, in percent.
    pub opt_out_rate: f64,
    /// Seconds, over the calls whose end told their duration.
    pub average_call_duration: f64,
    /// The sum of what calls cost, in the currency of the records.
    pub total_cost: f64,
    /// The latest time of any record; `null` before the first, and where it is not known.
    pub updated_at: Option<Timestamp>,
}

/// `part` of `whole` in percent: 0 of nothing, and never more than all. Parts can be more than the whole where an event
/// was sent twice, or is ahead of the one that comes before it.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    ratio(part.min(whole), whole) * 100.0
}

/// `sum` over `count`; 0 over nothing.
pub(super) fn ratio(sum: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}
