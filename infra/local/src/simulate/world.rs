//! What happens, and when: a simulation in simulated time, without any I/O.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use projections::Timestamp;
use rand::{RngExt as _, rngs::StdRng};
use serde_json::{Map, Value, json};

use super::call::{Fate, exponential};
use crate::producer::Outgoing;

const CAMPAIGN_EVENTS: &str = "campaign.events.v1";
const DIALER_HEALTH: &str = "dialer.health.v1";
const CHECK_INS: &str = "platform.analytics.check-in.v1";
const LIVE_EVENTS: &str = "platform.analytics.events.v1";

/// The topics that the simulator writes to.
pub(super) const TOPICS: [&str; 4] = [CAMPAIGN_EVENTS, DIALER_HEALTH, CHECK_INS, LIVE_EVENTS];

/// Dialer nodes; calls are spread over them.
const DIALERS: usize = 3;

/// A dialer reports this often. Ten times as often as it may be silent before it counts as stale.
const HEALTH_EVERY: Duration = Duration::from_secs(3);

/// Mean seconds between two things that happen at one live event.
const LIVE_EVENT_PAUSE_S: f64 = 0.8;

/// Mean seconds between a campaign's pauses.
const PAUSE_EVERY_S: f64 = 180.0;

const CAMPAIGN_NAMES: [&str; 8] = [
    "Spring appeal",
    "Membership renewal",
    "Appointment reminders",
    "Customer survey",
    "Welcome calls",
    "Voter outreach",
    "Payment reminders",
    "Event invitations",
];
const FIRST_NAMES: [&str; 12] =
    ["Ada", "Grace", "Alan", "Barbara", "Edsger", "Frances", "Ken", "Leslie", "Margaret", "Niklaus", "Radia", "Tony"];
const LAST_NAMES: [&str; 10] =
    ["Okafor", "Lindqvist", "Moreau", "Tanaka", "Silva", "Novak", "Haddad", "Kaur", "Byrne", "Rossi"];

/// How large the world is.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) tenant: String,
    pub(super) campaigns: u32,
    pub(super) calls_per_second: f64,
    pub(super) events: u32,
}

/// Everything that is going on.
pub(super) struct World {
    settings: Settings,
    rng: StdRng,
    agenda: BinaryHeap<Reverse<Due>>,
    /// How much was ever put on the agenda: what is due at the same time happens in this order.
    planned: u64,
    /// How many calls there ever were.
    begun: u64,
    calls: BTreeMap<u64, Call>,
    campaigns: Vec<Campaign>,
}

#[derive(Debug, Default)]
struct Campaign {
    paused_until: Option<Timestamp>,
    waiting: u64,
}

#[derive(Debug)]
struct Call {
    campaign: usize,
    fate: Fate,
    /// The line was taken.
    is_placed: bool,
    answered_at: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq)]
struct Due {
    at: Timestamp,
    order: u64,
    step: Step,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What can be on the agenda. Calls and campaigns are named by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Queue,
    Place(u64),
    Answer(u64),
    PressKey(u64),
    Act(u64),
    HangUp(u64),
    Start(usize),
    Pause(usize),
    Resume(usize),
    SampleQueue(usize),
    Audience(u32),
    Health(usize),
}

impl World {
    /// A world that begins at `start`.
    pub(super) fn new(settings: Settings, rng: StdRng, start: Timestamp) -> Self {
        let campaigns = (0..settings.campaigns).map(|_| Campaign::default()).collect();
        let mut world =
            Self { settings, rng, agenda: BinaryHeap::new(), planned: 0, begun: 0, calls: BTreeMap::new(), campaigns };
        for campaign in 0..world.campaigns.len() {
            world.plan(start, Step::Start(campaign));
        }
        world.plan(start, Step::Queue);
        for event in 0..world.settings.events {
            world.plan(start, Step::Audience(event));
        }
        for dialer in 0..DIALERS {
            world.plan(start, Step::Health(dialer));
        }
        world
    }

    /// Calls that were placed and have not ended.
    pub(super) fn calls_in_progress(&self) -> usize {
        self.calls.values().filter(|call| call.is_placed).count()
    }

    /// Contacts that wait for a call.
    pub(super) fn calls_waiting(&self) -> u64 {
        self.campaigns.iter().map(|campaign| campaign.waiting).sum()
    }

    /// Lets happen what is due until `now`; gives the records of it, in order.
    pub(super) fn advance(&mut self, now: Timestamp) -> Vec<Outgoing> {
        let mut records = Vec::new();
        while self.agenda.peek().is_some_and(|Reverse(due)| due.at <= now) {
            let Some(Reverse(due)) = self.agenda.pop() else { break };
            records.extend(self.happen(due.step, due.at));
        }
        records
    }

    /// Ends everything: calls are cut off, queues emptied, campaigns paused.
    pub(super) fn wind_down(&mut self, now: Timestamp) -> Vec<Outgoing> {
        self.agenda.clear();
        let mut records = Vec::new();
        for number in self.calls.keys().copied().collect::<Vec<_>>() {
            records.extend(self.hang_up(number, now));
        }
        for campaign in 0..self.campaigns.len() {
            self.campaigns[campaign].waiting = 0;
            records.push(self.sample_queue(campaign, now));
            records.push(self.status(campaign, "paused", now));
        }
        records
    }

    fn plan(&mut self, at: Timestamp, step: Step) {
        self.planned += 1;
        self.agenda.push(Reverse(Due { at, order: self.planned, step }));
    }

    fn happen(&mut self, step: Step, at: Timestamp) -> Option<Outgoing> {
        match step {
            Step::Queue => self.queue(at),
            Step::Place(call) => self.place(call, at),
            Step::Answer(call) => self.answer(call, at),
            Step::PressKey(call) => self.mention(call, "dtmf_pressed", at, "digit", "1"),
            Step::Act(call) => self.mention(call, "action_triggered", at, "action", "send_link"),
            Step::HangUp(call) => self.hang_up(call, at),
            Step::Start(campaign) => {
                let pause = exponential(&mut self.rng, PAUSE_EVERY_S, 20.0..3600.0);
                self.plan(at.plus(pause), Step::Pause(campaign));
                self.plan_sample(campaign, at);
                Some(self.status(campaign, "active", at))
            }
            Step::Pause(campaign) => {
                let end = at.plus(Duration::from_secs_f64(self.rng.random_range(8.0..20.0)));
                self.campaigns[campaign].paused_until = Some(end);
                self.plan(end, Step::Resume(campaign));
                Some(self.status(campaign, "paused", at))
            }
            Step::Resume(campaign) => {
                self.campaigns[campaign].paused_until = None;
                let pause = exponential(&mut self.rng, PAUSE_EVERY_S, 20.0..3600.0);
                self.plan(at.plus(pause), Step::Pause(campaign));
                Some(self.status(campaign, "active", at))
            }
            Step::SampleQueue(campaign) => {
                self.plan_sample(campaign, at);
                Some(self.sample_queue(campaign, at))
            }
            Step::Audience(event) => Some(self.audience(event, at)),
            Step::Health(dialer) => Some(self.health(dialer, at)),
        }
    }

    /// A contact comes to the queue of a campaign that is not paused; the first campaigns are the busiest.
    fn queue(&mut self, at: Timestamp) -> Option<Outgoing> {
        let pause = exponential(&mut self.rng, 1.0 / self.settings.calls_per_second, 0.0..3600.0);
        self.plan(at.plus(pause), Step::Queue);
        let active: Vec<usize> =
            (0..self.campaigns.len()).filter(|n| self.campaigns[*n].paused_until.is_none()).collect();
        if active.is_empty() {
            return None;
        }
        let drawn = self.rng.random_range(0..active.len()).min(self.rng.random_range(0..active.len()));
        let campaign = active[drawn];
        self.begun += 1;
        let number = self.begun;
        let fate = Fate::draw(&mut self.rng);
        self.plan(at.plus(fate.wait), Step::Place(number));
        self.calls.insert(number, Call { campaign, fate, is_placed: false, answered_at: None });
        self.campaigns[campaign].waiting += 1;
        let phone_number = format!("+1202555{:04}", self.rng.random_range(100..200));
        let contact_id = format!("contact-{number}");
        self.of_call(number, "call_queued", at, json!({ "contactId": contact_id, "phoneNumber": phone_number }))
    }

    fn place(&mut self, number: u64, at: Timestamp) -> Option<Outgoing> {
        let call = self.calls.get_mut(&number)?;
        let campaign = &mut self.campaigns[call.campaign];
        if let Some(resumed_at) = campaign.paused_until {
            // Not all at once when the campaign goes on.
            let pause = Duration::from_secs_f64(self.rng.random_range(0.1..3.0));
            self.plan(resumed_at.plus(pause), Step::Place(number));
            return None;
        }
        campaign.waiting = campaign.waiting.saturating_sub(1);
        call.is_placed = true;
        let next = if call.fate.talk.is_some() { Step::Answer(number) } else { Step::HangUp(number) };
        let rings = call.fate.rings;
        self.plan(at.plus(rings), next);
        self.of_call(number, "call_initiated", at, json!({}))
    }

    fn answer(&mut self, number: u64, at: Timestamp) -> Option<Outgoing> {
        let call = self.calls.get_mut(&number)?;
        call.answered_at = Some(at);
        let talk = call.fate.talk.clone()?;
        for (after, step) in [(talk.key_pressed, Step::PressKey(number)), (talk.action, Step::Act(number))] {
            if let Some(after) = after {
                self.plan(at.plus(after), step);
            }
        }
        self.plan(at.plus(talk.length), Step::HangUp(number));
        self.of_call(number, "call_answered", at, json!({}))
    }

    fn mention(&self, number: u64, event_type: &str, at: Timestamp, field: &str, value: &str) -> Option<Outgoing> {
        self.of_call(number, event_type, at, json!({ field: value }))
    }

    /// Ends a call. One that was never placed leaves no trace: the queue's next sample counts without it.
    fn hang_up(&mut self, number: u64, at: Timestamp) -> Option<Outgoing> {
        let call = self.calls.get(&number)?;
        let mut details = json!({ "status": call.fate.status });
        match (&call.fate.talk, call.answered_at) {
            (Some(talk), Some(answered_at)) => {
                let seconds = (at.since(answered_at).as_secs_f64() * 10.0).round() / 10.0;
                details["duration"] = json!(seconds);
                details["cost"] = json!((2.0 + seconds * 14.0 / 60.0).round() / 1000.0);
                details["outcome"] = json!(talk.outcome);
            }
            // Cut off while it rang.
            (Some(_), None) => details["status"] = json!("no_answer"),
            (None, _) => {}
        }
        let record = if call.is_placed { self.of_call(number, "call_ended", at, details) } else { None };
        self.calls.remove(&number);
        record
    }

    fn plan_sample(&mut self, campaign: usize, at: Timestamp) {
        let pause = Duration::from_secs_f64(self.rng.random_range(20.0..40.0));
        self.plan(at.plus(pause), Step::SampleQueue(campaign));
    }

    fn sample_queue(&self, campaign: usize, at: Timestamp) -> Outgoing {
        self.of_campaign(campaign, "queue_sampled", at, json!({ "queueDepth": self.campaigns[campaign].waiting }))
    }

    fn status(&self, campaign: usize, status: &str, at: Timestamp) -> Outgoing {
        let name = match campaign / CAMPAIGN_NAMES.len() {
            0 => CAMPAIGN_NAMES[campaign].to_owned(),
            round => format!("{} {}", CAMPAIGN_NAMES[campaign % CAMPAIGN_NAMES.len()], round + 1),
        };
        self.of_campaign(campaign, "campaign_status_changed", at, json!({ "status": status, "name": name }))
    }

    fn of_call(&self, number: u64, event_type: &str, at: Timestamp, mut details: Value) -> Option<Outgoing> {
        details["callId"] = json!(format!("call-{number}"));
        Some(self.of_campaign(self.calls.get(&number)?.campaign, event_type, at, details))
    }

    fn of_campaign(&self, campaign: usize, event_type: &str, at: Timestamp, mut details: Value) -> Outgoing {
        let key = format!("c-{}", campaign + 1);
        details["eventType"] = json!(event_type);
        details["campaignId"] = json!(key);
        self.record(CAMPAIGN_EVENTS, key, at, details)
    }

    /// Somebody in the audience does something.
    fn audience(&mut self, event: u32, at: Timestamp) -> Outgoing {
        let pause = exponential(&mut self.rng, LIVE_EVENT_PAUSE_S, 0.02..60.0);
        self.plan(at.plus(pause), Step::Audience(event));
        let key = format!("evt_{}", event + 1);
        let mut details = json!({ "eventId": key });
        let (topic, event_type) = match self.rng.random_range(0..100) {
            0..15 => {
                let first = FIRST_NAMES[self.rng.random_range(0..FIRST_NAMES.len())];
                let last = LAST_NAMES[self.rng.random_range(0..LAST_NAMES.len())];
                let id = format!("user_{}", self.rng.random_range(1..=9999));
                details["checkInData"] = json!({ "id": id, "name": format!("{first} {last}") });
                (CHECK_INS, "CHECK_IN_PROCESSED")
            }
            15..45 => (LIVE_EVENTS, "MESSAGE_SENT"),
            45..75 => (LIVE_EVENTS, "REACTION_SENT"),
            75..85 => (LIVE_EVENTS, "POLL_VOTE_CAST"),
            85..93 => (LIVE_EVENTS, "QUESTION_UPVOTED"),
            _ => (LIVE_EVENTS, "QUESTION_ASKED"),
        };
        details["type"] = json!(event_type);
        self.record(topic, key, at, details)
    }

    fn health(&mut self, dialer: usize, at: Timestamp) -> Outgoing {
        self.plan(at.plus(HEALTH_EVERY), Step::Health(dialer));
        let key = format!("dialer-{}", dialer + 1);
        let calls =
            self.calls.iter().filter(|(number, call)| call.is_placed && **number % DIALERS as u64 == dialer as u64);
        let calls = calls.count();
        let load = (calls as f64 / 2.0).min(70.0);
        let percent = |value: f64| (value * 10.0).round() / 10.0;
        let details = json!({
            "nodeId": key,
            "cpuUsage": percent(12.0 + load + self.rng.random_range(0.0..8.0)),
            "memoryUsage": percent(38.0 + load / 4.0 + self.rng.random_range(0.0..2.0)),
            "activeCalls": calls,
        });
        self.record(DIALER_HEALTH, key, at, details)
    }

    fn record(&self, topic: &'static str, key: String, at: Timestamp, details: Value) -> Outgoing {
        let mut value =
            Map::from_iter([("tenantId".to_owned(), json!(self.settings.tenant)), ("timestamp".to_owned(), json!(at))]);
        if let Value::Object(details) = details {
            value.extend(details);
        }
        Outgoing { topic, key, value: Value::Object(value).to_string() }
    }
}

#[cfg(test)]
mod tests;
