//! Time that is paid for: of what is over, and of what is going on.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Lambda bills whole milliseconds. To the minutes of a connection it makes no difference.
const STEP: Duration = Duration::from_millis(1);

/// Adds up how long things take, of which many may go on at the same time.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    made_at: Instant,
    laps: Mutex<Laps>,
}

#[derive(Debug, Default)]
struct Laps {
    over: Duration,
    /// How many go on, and when they began, added up, counted from the stopwatch's own beginning.
    going_on: u32,
    beginnings: Duration,
}

/// Something that goes on until this is dropped.
pub(crate) struct Lap<'a> {
    stopwatch: &'a Stopwatch,
    began_at: Instant,
}

impl Stopwatch {
    /// Something begins.
    pub(crate) fn start(&self) -> Lap<'_> {
        let began_at = Instant::now();
        self.begin(began_at);
        Lap { stopwatch: self, began_at }
    }

    /// All laps together, those that go on until now.
    pub(crate) fn total(&self, now: Instant) -> Duration {
        let laps = self.laps();
        let until_now = now.saturating_duration_since(self.made_at) * laps.going_on;
        laps.over + until_now.saturating_sub(laps.beginnings)
    }

    fn begin(&self, now: Instant) {
        let mut laps = self.laps();
        laps.going_on += 1;
        laps.beginnings += now.saturating_duration_since(self.made_at);
    }

    fn end(&self, began_at: Instant, now: Instant) {
        let mut laps = self.laps();
        laps.going_on -= 1;
        laps.beginnings -= began_at.saturating_duration_since(self.made_at);
        let took = now.saturating_duration_since(began_at);
        let steps = took.as_nanos().div_ceil(STEP.as_nanos());
        laps.over += STEP * u32::try_from(steps).unwrap_or(u32::MAX);
    }

    fn laps(&self) -> MutexGuard<'_, Laps> {
        self.laps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self { made_at: Instant::now(), laps: Mutex::default() }
    }
}

impl Drop for Lap<'_> {
    fn drop(&mut self) {
        self.stopwatch.end(self.began_at, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_rounded_up_and_what_goes_on_counts_until_now() {
        let stopwatch = Stopwatch::default();
        let at = |micros| stopwatch.made_at + Duration::from_micros(micros);
        stopwatch.begin(at(1_000));
        stopwatch.begin(at(4_000));
        assert_eq!(stopwatch.total(at(8_500)), Duration::from_millis(12));
        stopwatch.end(at(1_000), at(8_500));
        assert_eq!(stopwatch.total(at(8_500)), Duration::from_micros(12_500));
        stopwatch.end(at(4_000), at(9_000));
        assert_eq!(stopwatch.total(at(20_000)), Duration::from_millis(13));
    }
}
