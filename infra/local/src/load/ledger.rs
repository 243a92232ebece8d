//! What was produced, what has arrived, and how long it took.

use std::time::Instant;

use hdrhistogram::Histogram;

use crate::deliveries::now_micros;

/// The slowest delivery that is told apart: ten minutes, in microseconds.
const SLOWEST_US: u64 = 600_000_000;

/// The most arrivals whose stages are looked at, 32 bytes each.
const MAX_ARRIVALS: usize = 1_000_000;

/// Where a record is, and when its producer knew. Times here are microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) at: i64,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// A record's way to a connection, as far as it can be seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) produced_at: i64,
    pub(super) stored: Option<Stored>,
    pub(super) made_at: i64,
    pub(super) arrived_at: i64,
}

/// A record that a connection has seen counted. Its broker may tell later where it is.
#[derive(Clone, Copy, Debug)]
struct Seen {
    campaign: usize,
    record: usize,
    made_at: i64,
    arrived_at: i64,
}

/// A moment by both clocks: what is measured here is monotonic, what the system tells is not.
#[derive(Clone, Copy, Debug)]
struct Clock {
    instant: Instant,
    micros: i64,
}

impl Clock {
    fn micros_at(self, at: Instant) -> i64 {
        self.micros + i64::try_from(at.saturating_duration_since(self.instant).as_micros()).unwrap_or(i64::MAX)
    }
}

/// What each connection watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watching {
    /// One of the campaigns, the connections in turn.
    One,
    /// All of them.
    All,
}

/// Books every record against every connection that watches its campaign.
///
/// The n-th record of a campaign raises its count to n, as there is one producer and one partition. So a record has
/// arrived on a connection with the first view there whose count is n or more: publishers leave views out, and the
/// next one makes up for them.
#[derive(Debug)]
pub(super) struct Ledger {
    /// When each record of each campaign was produced.
    produced: Vec<Vec<Instant>>,
    /// Where each of them is, as far as its broker has said so.
    stored: Vec<Vec<Option<Stored>>>,
    arrivals: Vec<Seen>,
    clock: Clock,
    watching: Watching,
    /// How many records each connection has seen counted of each campaign that it watches. Whatever is watched, the place
    /// modulo the number of campaigns is the campaign.
    arrived: Vec<usize>,
    latency: Histogram<u64>,
    frames: u64,
    bytes: u64,
    messages: u64,
    closed: u64,
}

impl Ledger {
    /// Nothing is produced yet.
    pub(super) fn new(campaigns: usize, connections: usize, watching: Watching) -> Self {
        let watched = match watching {
            Watching::One => 1,
            Watching::All => campaigns,
        };
        Self {
            produced: vec![Vec::new(); campaigns],
            stored: vec![Vec::new(); campaigns],
            arrivals: Vec::new(),
            clock: Clock { instant: Instant::now(), micros: now_micros() },
            watching,
            arrived: vec![0; connections * watched],
            latency: latencies(),
            frames: 0,
            bytes: 0,
            messages: 0,
            closed: 0,
        }
    }

    /// A record of a campaign is about to be produced.
    pub(super) fn produced(&mut self, campaign: usize, at: Instant) {
        self.produced[campaign].push(at);
        self.stored[campaign].push(None);
    }

    /// How many records of a campaign have been produced.
    pub(super) fn produced_of(&self, campaign: usize) -> usize {
        self.produced[campaign].len()
    }

    /// The broker has told where a record is.
    pub(super) fn stored(&mut self, campaign: usize, record: usize, partition: i32, offset: i64, at: Instant) {
        self.stored[campaign][record] = Some(Stored { at: self.clock.micros_at(at), partition, offset });
    }

    /// Records as they arrived, for the stages that they went through; at most [`MAX_ARRIVALS`].
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        let arrival = |Seen { campaign, record, made_at, arrived_at }: &Seen| Arrival {
            produced_at: self.clock.micros_at(self.produced[*campaign][*record]),
            stored: self.stored[*campaign][*record],
            made_at: *made_at,
            arrived_at: *arrived_at,
        };
        self.arrivals.iter().map(arrival).collect()
    }

    /// A frame with so many messages of any kind was received.
    pub(super) fn received(&mut self, bytes: usize, messages: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
        self.messages += messages as u64;
    }

    /// A view was received that counts `count` records of a campaign and was made at `made_at`, in microseconds since 1970. Not
    /// booked where the connection does not watch the campaign: every one begins with what all are shown.
    pub(super) fn viewed(&mut self, connection: usize, campaign: usize, count: usize, made_at: i64, at: Instant) {
        let place = match self.watching {
            Watching::One if campaign != connection % self.produced.len() => return,
            Watching::One => connection,
            Watching::All => connection * self.produced.len() + campaign,
        };
        let produced = &self.produced[campaign];
        let before = self.arrived[place];
        let count = count.clamp(before, produced.len());
        for record in &produced[before..count] {
            let micros = at.saturating_duration_since(*record).as_micros();
            self.latency.saturating_record(u64::try_from(micros).unwrap_or(SLOWEST_US));
        }
        let left = MAX_ARRIVALS.saturating_sub(self.arrivals.len());
        let arrived_at = self.clock.micros_at(at);
        self.arrivals.extend((before..count).take(left).map(|record| Seen { campaign, record, made_at, arrived_at }));
        self.arrived[place] = count;
    }

    /// A connection was closed by the other side.
    pub(super) fn closed(&mut self) {
        self.closed += 1;
    }

    /// Records times connections that have not arrived.
    pub(super) fn missing(&self) -> u64 {
        let due = (0..self.arrived.len()).map(|place| self.produced[place % self.produced.len()].len());
        due.zip(&self.arrived).map(|(due, arrived)| (due - arrived) as u64).sum()
    }

    /// Records times connections that have arrived.
    pub(super) fn deliveries(&self) -> u64 {
        self.latency.len()
    }

    pub(super) fn records(&self) -> u64 {
        self.produced.iter().map(|records| records.len() as u64).sum()
    }

    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn closed_early(&self) -> u64 {
        self.closed
    }

    /// From produced to received, in microseconds.
    pub(super) fn latency(&self) -> &Histogram<u64> {
        &self.latency
    }
}

#[expect(clippy::expect_used, reason = "the bounds are constants within what the histogram allows")]
pub(super) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, SLOWEST_US, 3).expect("1 < 600,000,000 and 3 digits are valid")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_view_covers_every_record_up_to_its_count() {
        let begun = Instant::now();
        let mut ledger = Ledger::new(1, 1, Watching::One);
        for n in 0..3 {
            ledger.produced(0, begun + ms(n * 10));
        }
        ledger.viewed(0, 0, 2, 0, begun + ms(100));
        assert_eq!((ledger.deliveries(), ledger.missing()), (2, 1));
        // Three digits are kept.
        let near = |micros: u64, millis: u64| micros.abs_diff(millis * 1000) < 100;
        assert!(near(ledger.latency().min(), 90) && near(ledger.latency().max(), 100));
        ledger.viewed(0, 0, 3, 0, begun + ms(120));
        assert_eq!((ledger.deliveries(), ledger.missing()), (3, 0));
    }

    #[test]
    fn a_record_counts_once_on_a_connection_and_again_on_another() {
        let begun = Instant::now();
        let mut ledger = Ledger::new(1, 2, Watching::One);
        ledger.produced(0, begun);
        for _ in 0..3 {
            ledger.viewed(0, 0, 1, 0, begun + ms(5));
        }
        assert_eq!((ledger.deliveries(), ledger.missing()), (1, 1));
        ledger.viewed(1, 0, 1, 0, begun + ms(5));
        assert_eq!((ledger.deliveries(), ledger.missing()), (2, 0));
    }

    #[test]
    fn connections_are_owed_only_the_records_of_their_campaign() {
        let begun = Instant::now();
        let mut ledger = Ledger::new(2, 3, Watching::One);
        ledger.produced(1, begun);
        assert_eq!((ledger.records(), ledger.missing()), (1, 1));
        ledger.viewed(1, 1, 1, 0, begun);
        ledger.viewed(0, 0, 0, 0, begun);
        ledger.viewed(0, 1, 1, 0, begun);
        assert_eq!((ledger.deliveries(), ledger.missing()), (1, 0));
    }

    #[test]
    fn an_older_view_takes_nothing_back_and_a_count_too_high_adds_nothing() {
        let begun = Instant::now();
        let mut ledger = Ledger::new(1, 1, Watching::One);
        ledger.produced(0, begun);
        ledger.produced(0, begun);
        ledger.viewed(0, 0, 9, 0, begun);
        ledger.viewed(0, 0, 1, 0, begun);
        assert_eq!((ledger.deliveries(), ledger.missing()), (2, 0));
    }

    #[test]
    fn an_overview_owes_every_record_to_every_connection() {
        let begun = Instant::now();
        let mut ledger = Ledger::new(3, 2, Watching::All);
        ledger.produced(0, begun);
        ledger.produced(2, begun);
        assert_eq!(ledger.missing(), 4);
        ledger.viewed(0, 2, 1, 0, begun);
        ledger.viewed(1, 0, 1, 0, begun);
        ledger.viewed(1, 0, 1, 0, begun);
        assert_eq!((ledger.deliveries(), ledger.missing()), (2, 2));
        ledger.viewed(0, 0, 1, 0, begun);
        ledger.viewed(1, 2, 1, 0, begun);
        assert_eq!((ledger.deliveries(), ledger.missing()), (4, 0));
    }
}
