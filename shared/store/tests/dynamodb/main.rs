//! The store against a real server over HTTP: an embedded Dynoxide, or the one that `TEST_DYNAMODB_URL` names.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "tests fail by panicking")]

mod connections;
mod directory;
mod leases;
mod quarantine;
mod slices;
mod table;

use std::time::Duration;

use projections::{ChannelId, TenantId, Timestamp};

/// It lies ahead, for a server may delete what has expired.
fn now() -> Timestamp {
    "2100-01-01T00:00:00Z".parse().unwrap()
}

fn after(seconds: u64) -> Timestamp {
    now().plus(Duration::from_secs(seconds))
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn channel(name: &str) -> ChannelId {
    name.parse().unwrap()
}
