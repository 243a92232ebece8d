//! One outbound calling campaign: calls, queue, outcomes, rates.

mod counts;
mod dialed;
mod event;
mod history;
mod metrics;

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use self::{counts::Calls, dialed::Dialed};
pub use self::{
    counts::CampaignCounts,
    event::{Event, Line, Outcome, Status},
    history::{CALL_EVENT, CallEventType, CampaignEntry},
    metrics::CampaignMetrics,
};
pub(crate) use self::{event::decode, metrics::percent};
use crate::{
    ChannelId, Listing, Projection, Timestamp,
    gauge::Gauge,
    history::{Entry, Recorder},
    latest::Latest,
};

/// What one partition knows of a campaign. No time in it is later than `updated_at`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Campaign {
    name: Option<Latest<String>>,
    status: Option<Latest<Status>>,
    active_calls: Gauge,
    queue: Gauge,
    calls: Calls,
    dialed: Dialed,
    #[serde(with = "crate::timestamp::optional_millis")]
    updated_at: Option<Timestamp>,
}

/// A campaign as it is stored, by this build or by one of version 1, which has each counter by its name.
#[derive(Deserialize)]
struct Stored {
    name: Option<Latest<String>>,
    status: Option<Latest<Status>>,
    active_calls: Gauge,
    queue: Gauge,
    calls: Option<Calls>,
    #[serde(default)]
    total_attempts: u64,
    #[serde(default)]
    answered: u64,
    #[serde(default)]
    busy: u64,
    #[serde(default)]
    failed: u64,
    #[serde(default)]
    converted: u64,
    #[serde(default)]
    opt_outs: u64,
    #[serde(default)]
    timed_calls: u64,
    #[serde(default)]
    duration_ms: u64,
    #[serde(default)]
    cost_micros: u64,
    dialed: Dialed,
    #[serde(with = "crate::timestamp::optional_millis")]
    updated_at: Option<Timestamp>,
}

impl From<Stored> for Campaign {
    fn from(stored: Stored) -> Self {
        let Stored { name, status, active_calls, queue, dialed, updated_at, .. } = stored;
        let calls = stored.calls.unwrap_or(Calls {
            attempts: stored.total_attempts,
            answered: stored.answered,
            busy: stored.busy,
            failed: stored.failed,
            converted: stored.converted,
            opt_outs: stored.opt_outs,
            timed: stored.timed_calls,
            duration_ms: stored.duration_ms,
            cost_micros: stored.cost_micros,
        });
        Self { name, status, active_calls, queue, calls, dialed, updated_at }
    }
}

impl Projection for Campaign {
    const NAME: &'static str = "campaign";
    const COLLECTION: Option<&'static str> = Some("campaigns");
    const MESSAGE: &'static str = "metrics_update";

    const VERSION: u32 = 2;
    const HAS_WINDOWS: bool = true;
    /// The dialing rate is over ten seconds.
    const FADES_FOR: Duration = Duration::from_secs(15);

    type Event = Event;
    type Entry = CampaignEntry;
    type Counts = CampaignCounts;
    type View = CampaignMetrics;

    fn apply(&mut self, event: &Event, at: Timestamp, history: &mut Recorder<'_, CampaignEntry>) {
        self.updated_at = self.updated_at.max(Some(at));
        self.calls.count(event);
        match event {
            Event::CallQueued { .. } => self.queue.add(1),
            Event::CallInitiated { placed_at, .. } => {
                self.active_calls.add(1);
                self.queue.add(-1);
                self.dialed.add(placed_at.as_seconds(), 1);
            }
            Event::CallEnded { .. } => self.active_calls.add(-1),
            Event::CallAnswered { .. } | Event::DtmfPressed { .. } | Event::ActionTriggered { .. } => {}
            Event::QueueSampled { depth, active_calls } => {
                if let Some(depth) = depth {
                    self.queue.sample(*depth, at);
                }
                if let Some(active_calls) = active_calls {
                    self.active_calls.sample(*active_calls, at);
                }
            }
            Event::StatusChanged { status, name } => {
                if let Some(name) = name {
                    Latest::set(&mut self.name, name.clone(), at);
                }
                let previous_status = self.status.as_ref().map(|latest| latest.value);
                Latest::set(&mut self.status, *status, at);
                if previous_status != Some(*status) {
                    history.add(CampaignEntry::StatusChange { status: *status, previous_status });
                }
            }
        }
        if let Some(entry) = event.call_entry() {
            history.add(entry);
        }
    }

    fn count(event: &Event, counts: &mut CampaignCounts) {
        counts.calls.count(event);
    }

    fn note_gauges(&self, counts: &mut CampaignCounts) {
        counts.active_calls = Some(self.active_calls);
        counts.queue = Some(self.queue);
    }

    fn merge(&mut self, other: &Self) {
        Latest::merge(&mut self.name, other.name.as_ref());
        Latest::merge(&mut self.status, other.status.as_ref());
        self.active_calls.merge(other.active_calls);
        self.queue.merge(other.queue);
        self.calls.add(&other.calls);
        self.dialed.merge(&other.dialed);
        self.updated_at = self.updated_at.max(other.updated_at);
    }

    fn view(&self, channel: &ChannelId, _: &[&Entry<CampaignEntry>], now: Timestamp) -> CampaignMetrics {
        let Calls { attempts, answered, busy, failed, converted, opt_outs, .. } = self.calls;
        let unheard_of = if self.updated_at.is_some() { Status::Active } else { Status::Draft };
        CampaignMetrics {
            campaign_id: channel.id().map(ToString::to_string).unwrap_or_default(),
            campaign_name: self.name.as_ref().map(|latest| latest.value.clone()),
            status: self.status.as_ref().map_or(unheard_of, |latest| latest.value),
            active_calls: self.active_calls.shown(),
            queue_depth: self.queue.shown(),
            dialing_rate: self.dialed.rate(now),
            total_attempts: attempts,
            answered,
            busy,
            failed,
            converted,
            opt_outs,
            answer_rate: percent(answered, attempts),
            conversion_rate: percent(converted, answered),
            opt_out_rate: percent(opt_outs, attempts),
            average_call_duration: self.calls.average_duration(),
            total_cost: self.calls.cost(),
            updated_at: self.updated_at.filter(|at| *at > Timestamp::EPOCH),
        }
    }

    fn believed(&self, latest: Timestamp) -> Cow<'_, Self> {
        if self.updated_at <= Some(latest) {
            return Cow::Borrowed(self);
        }
        let mut campaign = self.clone();
        Latest::disbelieve_after(&mut campaign.name, latest);
        Latest::disbelieve_after(&mut campaign.status, latest);
        campaign.active_calls.disbelieve_after(latest);
        campaign.queue.disbelieve_after(latest);
        campaign.dialed.forget_after(latest);
        campaign.updated_at = Some(Timestamp::EPOCH);
        Cow::Owned(campaign)
    }

    fn gauges_below_zero(&self) -> usize {
        [self.active_calls, self.queue].into_iter().filter(|gauge| gauge.is_below_zero()).count()
    }

    fn listing(&self) -> Option<Listing> {
        let status = self.status.as_ref()?;
        Some(Listing {
            name: self.name.as_ref().map(|latest| latest.value.clone()),
            status: Some(status.value.as_str()),
            // A campaign that ends or pauses while calls go on is seen until the last of them is over.
            active: matches!(status.value, Status::Active | Status::Paused) || self.active_calls.shown() > 0,
            at: status.at,
        })
    }
}

#[cfg(test)]
mod tests;
