//! Drives the local system from outside, as its users do: an ordinary Kafka client (librdkafka) produces, plain
//! WebSocket and HTTP clients read. Nothing in here knows the code behind the ports.

#![allow(clippy::expect_used, clippy::panic, reason = "what tests are made of fails as tests do")]

mod claims;
mod issuer;
mod kafka;
mod key;
mod rest;
mod secrets;
mod socket;
mod system;

pub use claims::{READ_LIVE, claims, local_token, now, with};
pub use issuer::{AUDIENCE, Issuer};
pub use kafka::Producer;
pub use key::{Algorithm, Key, LOCAL_SECRET, encode, pseudonym};
pub use rest::{Refusal, Rest};
pub use secrets::Secrets;
pub use socket::{Refused, Socket};
pub use system::{Options, System, function_binary, signal};

use std::time::{Duration, Instant};

/// Whatever a test waits for has to happen within this time. It is long because a machine may be slow; it is never
/// waited for in vain but when the test fails.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until `condition` gives something.
///
/// # Panics
/// When it has not within [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
