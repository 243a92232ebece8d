//! A token bucket.

use tokio::time::Instant;

use super::Rate;

/// Fills at a rate, holds no more than a burst.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    rate: Rate,
    /// Below zero where more was taken than was known before: then nothing is let through until that is made up for.
    level: f64,
    filled_at: Instant,
}

impl TokenBucket {
    /// A bucket that is full.
    pub(crate) fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, level: rate.burst, filled_at: now }
    }

    /// Whether there are as many tokens, now. A bucket that is full lets through what is more than it holds.
    pub(crate) fn has(&mut self, tokens: f64, now: Instant) -> bool {
        self.fill(now);
        self.level >= tokens.min(self.rate.burst)
    }

    /// Takes tokens, also such as are not there; gives them back where there are fewer than none.
    pub(crate) fn take(&mut self, tokens: f64, now: Instant) {
        self.fill(now);
        self.level = (self.level - tokens).min(self.rate.burst);
    }

    /// Whether it holds as much as it can.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.level >= self.rate.burst
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        self.level = (self.level + passed.as_secs_f64() * self.rate.per_second).min(self.rate.burst);
        self.filled_at = self.filled_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RATE: Rate = Rate { per_second: 1_000.0, burst: 500.0 };

    /// Takes as many single tokens as there are.
    fn drain(bucket: &mut TokenBucket, now: Instant) -> u32 {
        let mut taken = 0;
        while bucket.has(1.0, now) {
            bucket.take(1.0, now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn after_a_burst_tokens_come_at_the_rate() {
        let begin = Instant::now();
        let mut bucket = TokenBucket::full(RATE, begin);
        assert_eq!(drain(&mut bucket, begin), 500);
        assert_eq!(drain(&mut bucket, begin), 0);
        assert_eq!(drain(&mut bucket, begin + Duration::from_millis(100)), 100);
    }

    #[test]
    fn a_pause_fills_it_up_and_no_further() {
        let begin = Instant::now();
        let mut bucket = TokenBucket::full(RATE, begin);
        drain(&mut bucket, begin);
        assert!(!bucket.is_full(begin + Duration::from_millis(499)));
        assert_eq!(drain(&mut bucket, begin + Duration::from_hours(1)), 500);
    }

    #[test]
    fn what_was_taken_in_excess_is_made_up_for() {
        let begin = Instant::now();
        let mut bucket = TokenBucket::full(RATE, begin);
        assert!(bucket.has(1.0, begin));
        bucket.take(700.0, begin);
        assert!(!bucket.has(1.0, begin + Duration::from_millis(200)));
        assert!(bucket.has(1.0, begin + Duration::from_millis(201)));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let begin = Instant::now();
        let mut bucket = TokenBucket::full(RATE, begin);
        drain(&mut bucket, begin);
        bucket.take(-2.0, begin);
        assert_eq!(drain(&mut bucket, begin), 2);
    }

    #[test]
    fn a_time_that_lies_before_the_last_one_adds_nothing() {
        let begin = Instant::now();
        let late = begin + Duration::from_secs(1);
        let mut bucket = TokenBucket::full(RATE, begin);
        bucket.take(500.0, late);
        assert!(!bucket.has(1.0, begin));
        assert!(!bucket.has(1.0, late));
    }
}
