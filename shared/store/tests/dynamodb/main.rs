//! The store against a real server over HTTP: an embedded Dynoxide, or the one that `TEST_DYNAMODB_URL` names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub, reason = "tests fail by panicking")]

mod closing;
mod connections;
mod directory;
mod expiry;
mod faults;
mod histories;
mod history;
mod leases;
mod moves;
mod quarantine;
mod quotas;
mod rates;
mod registry;
mod replacement;
mod replays;
mod revocations;
mod slices;
mod subscriptions;
mod tickets;

use std::time::Duration;

use auth::Principal;
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

/// Somebody whose name has the separator of keys in it.
fn ada() -> Principal {
    Principal {
        tenant: acme(),
        user: "ada#1".into(),
        permissions: vec![auth::READ_LIVE.into()],
        channels: None,
        issued_at: now(),
        expires_at: after(900),
    }
}

fn user(name: &str) -> Principal {
    Principal { user: name.into(), ..ada() }
}

fn of_tenant(name: &str, principal: Principal) -> Principal {
    Principal { tenant: TenantId::parse(name).unwrap(), ..principal }
}
