//! One outbound calling campaign: calls, queue, outcomes, rates.

mod dialed;
mod event;
mod metrics;
mod notice;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use self::{dialed::Dialed, metrics::ratio};
pub(crate) use self::{event::decode, metrics::percent};
pub use self::{
    event::{Event, Line, Outcome, Status},
    metrics::CampaignMetrics,
    notice::{CallEventType, CampaignNotice},
};
use crate::{
    ChannelId, Listing, Projection, Timestamp,
    gauge::{self, Gauge},
    latest::Latest,
};

/// What one partition knows of a campaign. No time in it is later than `updated_at`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    name: Option<Latest<String>>,
    status: Option<Latest<Status>>,
    #[serde(with = "gauge::or_sum")]
    active_calls: Gauge,
    queue: Gauge,
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
            Event::CallQueued { .. } => self.queue.add(1),
            Event::CallInitiated { placed_at, .. } => {
                self.total_attempts += 1;
                self.active_calls.add(1);
                self.queue.add(-1);
                self.dialed.add(placed_at.as_seconds(), 1);
            }
            Event::CallAnswered { .. } => self.answered += 1,
            Event::CallEnded { line, outcome, duration_ms, cost_micros, .. } => {
                self.active_calls.add(-1);
                match line {
                    Some(Line::Busy) => self.busy += 1,
                    Some(Line::Failed) => self.failed += 1,
                    Some(Line::Unknown) | None => {}
                }
                match outcome {
                    Some(Outcome::Converted) => self.converted += 1,
                    Some(Outcome::OptedOut) => self.opt_outs += 1,
                    Some(Outcome::Unknown) | None => {}
                }
                if let Some(duration_ms) = duration_ms {
                    self.timed_calls += 1;
                    self.duration_ms = self.duration_ms.saturating_add(*duration_ms);
                }
                self.cost_micros = self.cost_micros.saturating_add(*cost_micros);
            }
            Event::DtmfPressed { .. } | Event::ActionTriggered { .. } => {}
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
        self.active_calls.merge(other.active_calls);
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
        self.dialed.merge(&other.dialed);
        self.updated_at = self.updated_at.max(other.updated_at);
    }

    fn view(&self, channel: &ChannelId, now: Timestamp) -> CampaignMetrics {
        let unheard_of = if self.updated_at.is_some() { Status::Active } else { Status::Draft };
        CampaignMetrics {
            campaign_id: channel.id().map(ToString::to_string).unwrap_or_default(),
            campaign_name: self.name.as_ref().map(|latest| latest.value.clone()),
            status: self.status.as_ref().map_or(unheard_of, |latest| latest.value),
            active_calls: self.active_calls.shown(),
            queue_depth: self.queue.shown(),
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
