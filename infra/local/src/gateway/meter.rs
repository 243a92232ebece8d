//! What the APIs carry, and how much more they may at this moment.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::Instant;

use crate::{
    limits::{GatewayQuotas, TokenBucket},
    stopwatch::Stopwatch,
};

/// Messages are charged in steps of this (<https://aws.amazon.com/api-gateway/pricing/>).
const MESSAGE_STEP: usize = 32 * 1024;

/// What API Gateway throttles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A new connection. Beside the bucket that all requests share it has one of its own.
    Handshake,
    /// A request to `@connections`.
    Post,
    /// A request to the HTTP API.
    Rest,
    /// A message from a client.
    Message,
}

impl Request {
    pub(crate) const ALL: [Self; 4] = [Self::Handshake, Self::Post, Self::Rest, Self::Message];
}

/// Counts for both APIs, and throttles where there are quotas.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    buckets: Option<Mutex<Buckets>>,
    throttled: [AtomicU64; Request::ALL.len()],
    messages: AtomicU64,
    requests: AtomicU64,
    bytes_out: AtomicU64,
    /// How long connections are open.
    pub(crate) connected: Stopwatch,
}

#[derive(Debug)]
struct Buckets {
    handshakes: TokenBucket,
    requests: TokenBucket,
}

/// What was carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GatewayUsage {
    /// Messages of sockets in both directions, each of them as many as it has steps of 32 KB.
    pub(crate) messages: u64,
    /// Requests to the HTTP API, each less than the 512 KB that are charged as one.
    pub(crate) requests: u64,
    /// Bytes of messages and responses to clients, without what TCP, TLS, headers and frames add.
    pub(crate) bytes_out: u64,
}

impl Meter {
    /// A meter that throttles where there are quotas.
    pub(crate) fn new(quotas: Option<GatewayQuotas>, now: Instant) -> Self {
        let buckets = quotas.map(|quotas| {
            Mutex::new(Buckets {
                handshakes: TokenBucket::full(quotas.handshakes, now),
                requests: TokenBucket::full(quotas.requests, now),
            })
        });
        Self { buckets, ..Self::default() }
    }

    /// Whether a request is let through.
    pub(crate) fn admit(&self, request: Request, now: Instant) -> bool {
        let Some(buckets) = &self.buckets else { return true };
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { handshakes, requests } = &mut *buckets;
        let is_handshake = request == Request::Handshake;
        let is_admitted = requests.has(1.0, now) && (!is_handshake || handshakes.has(1.0, now));
        if is_admitted {
            requests.take(1.0, now);
            if is_handshake {
                handshakes.take(1.0, now);
            }
        } else {
            self.throttled[request as usize].fetch_add(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// A message came from a client.
    pub(crate) fn received(&self, bytes: usize) {
        self.messages.fetch_add(steps(bytes), Ordering::Relaxed);
    }

    /// A message goes to a client.
    pub(crate) fn sent(&self, bytes: usize) {
        self.messages.fetch_add(steps(bytes), Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The HTTP API answered.
    pub(crate) fn responded(&self, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was carried so far.
    pub(crate) fn usage(&self) -> GatewayUsage {
        GatewayUsage {
            messages: self.messages.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }

    /// How many requests of a kind were not let through.
    pub(crate) fn throttled(&self, request: Request) -> u64 {
        self.throttled[request as usize].load(Ordering::Relaxed)
    }
}

fn steps(bytes: usize) -> u64 {
    bytes.div_ceil(MESSAGE_STEP).max(1) as u64
}

/// A meter that lets one handshake and as many requests through, and hardly any more.
#[cfg(test)]
pub(crate) fn tiny(requests: f64) -> Meter {
    let rate = |burst| crate::limits::Rate { per_second: 1e-6, burst };
    Meter::new(Some(GatewayQuotas { handshakes: rate(1.0), requests: rate(requests) }), Instant::now())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::Limits;

    fn admitted(meter: &Meter, request: Request, times: usize, now: Instant) -> usize {
        (0..times).filter(|_| meter.admit(request, now)).count()
    }

    #[test]
    fn posts_rest_and_messages_share_ten_thousand_a_second() {
        let begin = Instant::now();
        let meter = Meter::new(Limits::Aws.gateway(), begin);
        assert_eq!(admitted(&meter, Request::Post, 6_000, begin), 5_000);
        assert_eq!(admitted(&meter, Request::Rest, 1, begin), 0);
        let later = begin + Duration::from_millis(100);
        assert_eq!(admitted(&meter, Request::Message, 600, later), 600);
        assert_eq!(admitted(&meter, Request::Rest, 600, later), 400);
        let throttled = Request::ALL.map(|request| meter.throttled(request));
        assert_eq!(throttled, [0, 1_000, 1 + 200, 0]);
    }

    #[test]
    fn handshakes_have_five_hundred_a_second_of_their_own() {
        let begin = Instant::now();
        let meter = Meter::new(Limits::Aws.gateway(), begin);
        assert_eq!(admitted(&meter, Request::Handshake, 600, begin), 500);
        assert_eq!(admitted(&meter, Request::Rest, 5_000, begin), 4_500, "they are requests, too");
        assert_eq!(admitted(&meter, Request::Handshake, 600, begin + Duration::from_millis(10)), 5);
    }

    #[test]
    fn without_limits_all_is_let_through() {
        let meter = Meter::default();
        assert_eq!(admitted(&meter, Request::Handshake, 20_000, Instant::now()), 20_000);
    }

    #[test]
    fn a_message_counts_once_for_each_32_kb_that_it_begins() {
        let meter = Meter::default();
        for bytes in [0, 1, MESSAGE_STEP, MESSAGE_STEP + 1] {
            meter.sent(bytes);
        }
        meter.received(2 * MESSAGE_STEP);
        meter.responded(10);
        let bytes_out = (1 + MESSAGE_STEP + MESSAGE_STEP + 1 + 10) as u64;
        assert_eq!(meter.usage(), GatewayUsage { messages: 1 + 1 + 1 + 2 + 2, requests: 1, bytes_out });
    }
}
