//! One outbound calling campaign: calls, queue, outcomes, rates.

mod event;
mod notice;

use serde::{Deserialize, Serialize};

pub(crate) use self::event::decode;
pub use self::{
    event::{Event, Line, Outcome, Status},
    notice::{CallEventType, CampaignNotice},
};
use crate::{ChannelId, Listing, Projection, Timestamp, latest::Latest};

/// The dialing rate is the mean over this many seconds.
const RATE_WINDOW_S: i64 = 10;

/// What one partition knows of a campaign. Gauges are signed sums: one partition may see only the end of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    name: Option<Latest<String>>,
    status: Option<Latest<Status>>,
    active_calls: i64,
    queue: Queue,
    total_attempts: u64,
    answered: u64,
    busy: u64,
    failed: u64,
    converted: u64,
    opt_outs: u64,
    timed_calls: u64,
    duration_ms: u64,
    cost_micros: u64,
    dialed: Dialed,
    updated_at: Option<Timestamp>,
}

/// Contacts that wait. Without a sample it is the sum of what came and went; a sample sets it, and what comes and
/// goes moves it from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Queue {
    sampled_at: Option<Timestamp>,
    depth: i64,
}

impl Queue {
    fn merge(&mut self, other: Self) {
        if self.sampled_at.is_none() && other.sampled_at.is_none() {
            self.depth += other.depth;
        } else {
            *self = (*self).max(other);
        }
    }
}

/// Calls placed in each of the last seconds, oldest first; never more than the window has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Dialed(Vec<(i64, u64)>);

impl Dialed {
    fn add(&mut self, second: i64, calls: u64) {
        // Nearly every call is placed in the newest second.
        let index = self.0.iter().rposition(|(s, _)| *s <= second);
        match index {
            Some(index) if self.0[index].0 == second => self.0[index].1 += calls,
            _ => self.0.insert(index.map_or(0, |index| index + 1), (second, calls)),
        }
        let newest = self.0.last().map_or(second, |(s, _)| *s);
        self.0.retain(|(s, _)| *s > newest - RATE_WINDOW_S);
    }

    /// Calls per second, `now`. A second leaves the window as a whole, at the latest ten seconds after its last call.
    fn rate(&self, now: Timestamp) -> f64 {
        let window = now.as_seconds() - RATE_WINDOW_S + 1..=now.as_seconds();
        let calls: u64 = self.0.iter().filter(|(second, _)| window.contains(second)).map(|(_, calls)| calls).sum();
        calls as f64 / RATE_WINDOW_S as f64
    }
}

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
    /// The latest time of any record; `null` before the first.
    pub updated_at: Option<Timestamp>,
}

impl Projection for Campaign {
    const NAME: &'static str = "campaign";
    const COLLECTION: Option<&'static str> = Some("campaigns");
    const MESSAGE: &'static str = "metrics_update";

    type Event = Event;
    type Notice = CampaignNotice;
    type View = CampaignMetrics;

    fn apply(&mut self, event: &Event, at: Timestamp) -> Option<CampaignNotice> {
        self.updated_at = self.updated_at.max(Some(at));
        match event {
            Event::CallQueued { .. } => self.queue.depth += 1,
            Event::CallInitiated { placed_at, .. } => {
                self.total_attempts += 1;
                self.active_calls += 1;
                self.queue.depth -= 1;
                self.dialed.add(placed_at.as_seconds(), 1);
            }
            Event::CallAnswered { .. } => self.answered += 1,
            Event::CallEnded { line, outcome, duration_ms, cost_micros, .. } => {
                self.active_calls -= 1;
                match line {
                    Some(Line::Busy) => self.busy += 1,
                    Some(Line::Failed) => self.failed += 1,
                    None => {}
                }
                match outcome {
                    Some(Outcome::Converted) => self.converted += 1,
                    Some(Outcome::OptedOut) => self.opt_outs += 1,
                    None => {}
                }
                if let Some(duration_ms) = duration_ms {
                    self.timed_calls += 1;
                    self.duration_ms = self.duration_ms.saturating_add(*duration_ms);
                }
                self.cost_micros = self.cost_micros.saturating_add(*cost_micros);
            }
            Event::DtmfPressed { .. } | Event::ActionTriggered { .. } => {}
            Event::QueueSampled { depth } => {
                let sampled_at = self.queue.sampled_at.max(Some(at));
                self.queue = Queue { sampled_at, depth: *depth };
            }
            Event::StatusChanged { status, name } => {
                if let Some(name) = name {
                    Latest::set(&mut self.name, name.clone(), at);
                }
                let previous = self.status.as_ref().map(|latest| latest.value);
                Latest::set(&mut self.status, *status, at);
                return (previous != Some(*status))
                    .then_some(CampaignNotice::StatusChange { status: *status, previous_status: previous });
            }
        }
        event.call_notice()
    }

    fn merge(&mut self, other: &Self) {
        Latest::merge(&mut self.name, other.name.as_ref());
        Latest::merge(&mut self.status, other.status.as_ref());
        self.active_calls += other.active_calls;
        self.queue.merge(other.queue);
        self.total_attempts += other.total_attempts;
        self.answered += other.answered;
        self.busy += other.busy;
        self.failed += other.failed;
        self.converted += other.converted;
        self.opt_outs += other.opt_outs;
        self.timed_calls += other.timed_calls;
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
        for (second, calls) in &other.dialed.0 {
            self.dialed.add(*second, *calls);
        }
        self.updated_at = self.updated_at.max(other.updated_at);
    }

    fn view(&self, channel: &ChannelId, now: Timestamp) -> CampaignMetrics {
        let unheard_of = if self.updated_at.is_some() { Status::Active } else { Status::Draft };
        CampaignMetrics {
            campaign_id: channel.id().map(ToString::to_string).unwrap_or_default(),
            campaign_name: self.name.as_ref().map(|latest| latest.value.clone()),
            status: self.status.as_ref().map_or(unheard_of, |latest| latest.value),
            active_calls: u64::try_from(self.active_calls).unwrap_or(0),
            queue_depth: u64::try_from(self.queue.depth).unwrap_or(0),
            dialing_rate: self.dialed.rate(now),
            total_attempts: self.total_attempts,
            answered: self.answered,
            busy: self.busy,
            failed: self.failed,
            converted: self.converted,
            opt_outs: self.opt_outs,
            answer_rate: percent(self.answered, self.total_attempts),
            conversion_rate: percent(self.converted, self.answered),
            opt_out_rate: percent(self.opt_outs, self.total_attempts),
            average_call_duration: ratio(self.duration_ms, self.timed_calls) / 1e3,
            total_cost: self.cost_micros as f64 / 1e6,
            updated_at: self.updated_at,
        }
    }

    fn listing(&self) -> Option<Listing> {
        let status = self.status.as_ref()?;
        Some(Listing {
            name: self.name.as_ref().map(|latest| latest.value.clone()),
            status: Some(status.value.as_str()),
            active: status.value == Status::Active,
            at: status.at,
        })
    }
}

/// `part` of `whole` in percent; 0 of nothing.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    ratio(part, whole) * 100.0
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{BadRecord, Event as AnyEvent, Id, Kind, Record, Routed, TenantId, notice::Notice};

    const T0: i64 = 1_768_473_000_000;

    fn now() -> Timestamp {
        Timestamp::from_millis(T0)
    }

    fn decoded(value: &str) -> Result<Routed, BadRecord> {
        let tenant = TenantId::parse("acme").unwrap();
        let record = Record {
            topic: "campaign.events.v1",
            timestamp: now(),
            default_tenant: Some(&tenant),
            value: value.as_bytes(),
        };
        crate::topic::decode(&record)
    }

    /// Folds records given as the fields that differ.
    fn folded(records: &[&str]) -> Campaign {
        let mut campaign = Campaign::default();
        for fields in records {
            let routed = decoded(&format!(r#"{{"campaignId":"c-17","callId":"k1",{fields}}}"#)).unwrap();
            let AnyEvent::Campaign(event) = routed.event else { panic!("routed elsewhere") };
            campaign.apply(&event, routed.at);
        }
        campaign
    }

    fn seen(campaign: &Campaign, now: Timestamp) -> CampaignMetrics {
        campaign.view(&ChannelId::campaign(Id::parse("c-17").unwrap()), now)
    }

    #[test]
    fn a_call_moves_the_counters_that_the_design_names() {
        let metrics = seen(
            &folded(&[
                r#""eventType":"call_queued""#,
                r#""eventType":"call_queued""#,
                r#""eventType":"call_initiated""#,
                r#""eventType":"call_initiated""#,
                r#""eventType":"call_answered""#,
                r#""eventType":"dtmf_pressed""#,
                r#""eventType":"call_ended","outcome":"converted","duration":41.5,"cost":0.02"#,
                r#""eventType":"call_ended","status":"busy","cost":0.01"#,
            ]),
            now(),
        );
        assert_eq!((metrics.total_attempts, metrics.answered, metrics.busy, metrics.failed), (2, 1, 1, 0));
        assert_eq!((metrics.active_calls, metrics.queue_depth), (0, 0));
        assert_eq!((metrics.converted, metrics.opt_outs), (1, 0));
        assert_eq!((metrics.answer_rate, metrics.conversion_rate, metrics.opt_out_rate), (50.0, 100.0, 0.0));
        assert_eq!((metrics.average_call_duration, metrics.total_cost), (41.5, 0.03));
        assert_eq!(metrics.status, Status::Active);
    }

    #[test]
    fn gauges_that_went_below_zero_show_zero_and_recover() {
        let mut campaign = folded(&[r#""eventType":"call_ended""#]);
        assert_eq!(seen(&campaign, now()).active_calls, 0);
        campaign.merge(&folded(&[r#""eventType":"call_initiated""#, r#""eventType":"call_initiated""#]));
        assert_eq!(seen(&campaign, now()).active_calls, 1);
    }

    #[test]
    fn a_sample_sets_the_queue_and_calls_move_it_from_there() {
        let sampled = folded(&[
            r#""eventType":"call_queued""#,
            r#""eventType":"queue_sampled","queueDepth":230"#,
            r#""eventType":"call_initiated""#,
        ]);
        assert_eq!(seen(&sampled, now()).queue_depth, 229);
        let mut merged = folded(&[r#""eventType":"call_queued""#]);
        merged.merge(&sampled);
        assert_eq!(seen(&merged, now()).queue_depth, 229, "a sample counts, not what another partition has summed");
    }

    #[test]
    fn the_dialing_rate_is_gone_ten_seconds_after_the_last_call() {
        let campaign = folded(&[r#""eventType":"call_initiated""#; 5]);
        assert_eq!(seen(&campaign, now()).dialing_rate, 0.5);
        assert_eq!(seen(&campaign, now().plus(Duration::from_secs(10))).dialing_rate, 0.0);
    }

    #[test]
    fn a_dialer_whose_clock_leads_does_not_push_others_out_of_the_rate() {
        let ahead = format!(r#""eventType":"call_initiated","timestamp":"{}""#, now().plus(Duration::from_mins(4)));
        let campaign = folded(&[r#""eventType":"call_initiated""#, &ahead]);
        assert_eq!(seen(&campaign, now()).dialing_rate, 0.2);
    }

    #[test]
    fn a_status_change_tells_what_was_before() {
        let mut campaign = folded(&[r#""eventType":"campaign_status_changed","status":"active","name":"Spring""#]);
        let change = Event::StatusChanged { status: Status::Paused, name: None };
        let notice = campaign.apply(&change, now()).unwrap();
        let channel = ChannelId::campaign(Id::parse("c-17").unwrap());
        assert_eq!(
            notice.data(&channel),
            json!({"campaignId": "c-17", "status": "paused", "previousStatus": "active"})
        );
        assert_eq!(campaign.apply(&change, now()), None, "the same status again is no change");
        assert_eq!(seen(&campaign, now()).campaign_name.as_deref(), Some("Spring"));
    }

    #[test]
    fn the_view_is_pinned() {
        let campaign = Campaign { updated_at: Some(now()), ..folded(&[]) };
        assert_eq!(
            serde_json::to_string(&seen(&campaign, now())).unwrap(),
            concat!(
                r#"{"campaignId":"c-17","campaignName":null,"status":"active","activeCalls":0,"queueDepth":0,"#,
                r#""dialingRate":0.0,"totalAttempts":0,"answered":0,"busy":0,"failed":0,"converted":0,"optOuts":0,"#,
                r#""answerRate":0.0,"conversionRate":0.0,"optOutRate":0.0,"averageCallDuration":0.0,"totalCost":0.0,"#,
                r#""updatedAt":"2026-01-15T10:30:00.000Z"}"#
            )
        );
    }

    #[test]
    fn bad_records_are_told_apart() {
        let bad = |value: &str| decoded(value).unwrap_err();
        assert_eq!(bad(r#"{"eventType":"call_queued"}"#), BadRecord::Missing("campaignId"));
        assert_eq!(bad(r#"{"campaignId":"c"}"#), BadRecord::Missing("eventType"));
        assert_eq!(bad(r#"{"eventType":"call_answered","campaignId":"c"}"#), BadRecord::Missing("callId"));
        assert_eq!(bad(r#"{"eventType":"nope","campaignId":"c"}"#), BadRecord::UnknownEventType("eventType"));
        assert_eq!(bad(r#"{"eventType":"call_queued","campaignId":"c#1"}"#), BadRecord::BadId("campaignId"));
        assert_eq!(bad(r#"{"eventType":"call_queued","campaignId":"c","tenantId":""}"#), BadRecord::BadId("tenantId"));
        assert_eq!(
            bad(r#"{"eventType":"call_ended","campaignId":"c","callId":"k","duration":-1}"#),
            BadRecord::WrongType { field: "duration", expected: "a quantity from 0, within reason" }
        );
        assert_eq!(
            bad(r#"{"eventType":"queue_sampled","campaignId":"c","queueDepth":-1}"#),
            BadRecord::WrongType { field: "queueDepth", expected: "a whole number from 0" }
        );
        assert_eq!(
            bad(r#"{"eventType":"campaign_status_changed","campaignId":"c","status":"odd"}"#),
            BadRecord::UnknownValue("status")
        );
    }

    #[test]
    fn an_event_type_that_is_not_known_is_told_apart_whatever_its_fields_are() {
        for value in [
            r#"{"eventType":"call_transferred","campaignId":"c","callId":"k"}"#,
            r#"{"eventType":"call_transferred","callId":"k@host"}"#,
            r#"{"eventType":"call_transferred"}"#,
        ] {
            let bad = decoded(value).unwrap_err();
            assert!(bad.is_unknown_type(), "{bad}");
            assert_eq!(bad.code(), "unknown_event_type");
        }
        assert!(!decoded(r#"{"eventType":"call_answered"}"#).unwrap_err().is_unknown_type());
    }

    #[test]
    fn an_organization_is_a_tenant_and_unknown_fields_are_ignored() {
        let routed =
            decoded(r#"{"eventType":"call_queued","campaignId":"c","organizationId":"org_1","x":[1]}"#).unwrap();
        assert_eq!(routed.tenant.as_str(), "org_1");
        assert_eq!(routed.channel.kind(), Kind::Campaign);
    }
}
