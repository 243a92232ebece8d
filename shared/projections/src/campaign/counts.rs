//! What is counted of calls: over a campaign's life, and in each window of time.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{
    event::{Event, Line, Outcome},
    metrics::{percent, ratio},
};
use crate::{gauge::Gauge, window::Counts};

/// What came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) attempts: u64,
    pub(super) answered: u64,
    pub(super) busy: u64,
    pub(super) failed: u64,
    pub(super) converted: u64,
    pub(super) opt_outs: u64,
    pub(super) timed: u64,
    pub(super) duration_ms: u64,
    pub(super) cost_micros: u64,
}

impl Calls {
    /// Counts an event.
    pub(super) fn count(&mut self, event: &Event) {
        match event {
            Event::CallInitiated { .. } => self.attempts += 1,
            Event::CallAnswered { .. } => self.answered += 1,
            Event::CallEnded { line, outcome, duration_ms, cost_micros, .. } => {
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
                    self.timed += 1;
                    self.duration_ms = self.duration_ms.saturating_add(*duration_ms);
                }
                self.cost_micros = self.cost_micros.saturating_add(*cost_micros);
            }
            Event::CallQueued { .. }
            | Event::DtmfPressed { .. }
            | Event::ActionTriggered { .. }
            | Event::QueueSampled { .. }
            | Event::StatusChanged { .. } => {}
        }
    }

    /// Adds what came elsewhere, or later.
    pub(super) fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.answered += other.answered;
        self.busy += other.busy;
        self.failed += other.failed;
        self.converted += other.converted;
        self.opt_outs += other.opt_outs;
        self.timed += other.timed;
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
    }

    /// Seconds, over the calls whose end told their duration.
    pub(super) fn average_duration(&self) -> f64 {
        ratio(self.duration_ms, self.timed) / 1e3
    }

    /// In the currency of the records.
    pub(super) fn cost(&self) -> f64 {
        self.cost_micros as f64 / 1e6
    }

    /// In the order in which they are stored. A new one comes last.
    fn as_list(&self) -> [u64; 9] {
        let Self { attempts, answered, busy, failed, converted, opt_outs, timed, duration_ms, cost_micros } = *self;
        [attempts, answered, busy, failed, converted, opt_outs, timed, duration_ms, cost_micros]
    }
}

/// Stored as a list without names, for a slice has it up to four times and is to stay below a kilobyte.
impl Serialize for Calls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let list = self.as_list();
        let used = list.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        list[..used].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Calls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Vec::<u64>::deserialize(deserializer)?;
        let mut list = [0; 9];
        list.iter_mut().zip(stored).for_each(|(count, stored)| *count = stored);
        let [attempts, answered, busy, failed, converted, opt_outs, timed, duration_ms, cost_micros] = list;
        Ok(Self { attempts, answered, busy, failed, converted, opt_outs, timed, duration_ms, cost_micros })
    }
}

/// What is counted in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignCounts {
    /// What came in it.
    #[serde(rename = "n")]
    pub(super) calls: Calls,
    /// Calls going on at its end.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(super) active_calls: Option<Gauge>,
    /// Contacts waiting at its end.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<Gauge>,
}

impl Counts for CampaignCounts {
    fn follow(&mut self, later: &Self) {
        self.calls.add(&later.calls);
        self.active_calls = later.active_calls.or(self.active_calls);
        self.queue = later.queue.or(self.queue);
    }

    fn merge(&mut self, other: &Self) {
        self.calls.add(&other.calls);
        for (gauge, other) in [(&mut self.active_calls, other.active_calls), (&mut self.queue, other.queue)] {
            match (gauge.as_mut(), other) {
                (Some(gauge), Some(other)) => gauge.merge(other),
                (Some(_), None) => {}
                (None, other) => *gauge = other,
            }
        }
    }

    fn carried(&self) -> Self {
        Self { calls: Calls::default(), ..self.clone() }
    }

    fn values(&self, length: Duration) -> Map<String, Value> {
        let Calls { attempts, answered, busy, failed, converted, opt_outs, .. } = self.calls;
        let shown = |gauge: Option<Gauge>| gauge.map(Gauge::shown).into();
        [
            ("totalAttempts", attempts.into()),
            ("answered", answered.into()),
            ("busy", busy.into()),
            ("failed", failed.into()),
            ("converted", converted.into()),
            ("optOuts", opt_outs.into()),
            ("answerRate", percent(answered, attempts).into()),
            ("conversionRate", percent(converted, answered).into()),
            ("optOutRate", percent(opt_outs, attempts).into()),
            ("averageCallDuration", self.calls.average_duration().into()),
            ("totalCost", self.calls.cost().into()),
            ("dialingRate", (attempts as f64 / length.as_secs_f64()).into()),
            ("activeCalls", shown(self.active_calls)),
            ("queueDepth", shown(self.queue)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
    }
}
