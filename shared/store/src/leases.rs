//! Leases: which publisher serves a shard.
//!
//! At most one holds a shard's lease. Its token is raised with every new holder, so that what an earlier one still
//! writes can be told and refused (a fencing token). Expiry trusts the clocks to agree within a fraction of the time
//! to live.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use projections::Timestamp;
use serde::Deserialize;

use crate::{
    StoreError,
    keys::Key,
    table::{Conditional, Table, boolean, from_item, number, text},
};

/// A successor waits for the lease and tries a few times a second. One that has not taken it after this time is not
/// there any more, and anyone may.
pub const HANDOVER: Duration = Duration::from_secs(2);

/// What holds for a lease that its holder has not given away.
const STILL_MINE: &str = "#owner = :owner AND #token = :token AND attribute_not_exists(#handed_over)";

/// A publisher's lease of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Lease {
    /// Whose it is; empty if it was given back.
    #[serde(default)]
    pub owner: String,
    /// Raised with every new holder.
    pub token: u64,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
    /// When a holder last said that it is alive.
    pub renewed_at: Timestamp,
    /// Who has asked the holder to hand over.
    #[serde(default)]
    pub successor: Option<String>,
    /// How long the successor's wish holds.
    #[serde(default)]
    successor_until: Option<Timestamp>,
    /// Set from a hand-over until the successor takes it up.
    #[serde(default)]
    handed_over: bool,
    /// Whose it was when its holder took it; empty if it was nobody's.
    #[serde(default)]
    predecessor: String,
    /// Whether it had been handed over by then: to its holder, or to somebody who did not come.
    #[serde(default)]
    was_handed_over: bool,
}

/// What became of the wish to hold a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is held now.
    Held(Lease),
    /// Another one holds it.
    Busy(Lease),
}

/// What became of the wish to be handed a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// The holder will see it when it next renews.
    Waiting,
    /// Another one is waiting already.
    Taken,
    /// Nobody holds the lease: acquire it.
    Free,
}

impl Lease {
    /// Whether somebody holds it, or is about to take it up.
    #[must_use]
    pub fn is_held(&self, now: Timestamp) -> bool {
        !self.owner.is_empty() && self.expires_at > now
    }

    /// Whether the holder before let it expire, and neither gave it back nor handed it over: it died, or the table did
    /// not answer it.
    #[must_use]
    pub fn was_expired(&self) -> bool {
        !self.predecessor.is_empty() && !self.was_handed_over
    }

    /// Without a successor whose wish no longer holds.
    fn at(self, now: Timestamp) -> Self {
        let holds = self.successor_until.is_some_and(|until| until > now);
        Self { successor: self.successor.filter(|_| holds), ..self }
    }
}

/// The leases of all shards, in the table of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leases {
    pub(crate) table: Table,
}

impl Leases {
    /// The leases in the table of this name.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table::new(client, table) }
    }

    /// The lease as it is stored: whether it is held, [`Lease::is_held`] knows.
    pub async fn read(&self, shard: u32) -> Result<Option<Lease>, StoreError> {
        self.table.get(&key(shard)).await?.map(from_item).transpose()
    }

    /// Takes the lease if it is free, expired or handed over to `owner`. An owner that holds it gets it as it is: the
    /// answer to its first request may have been lost. So the name of an owner must be unique to one run of a publisher;
    /// a request id is not, Lambda uses it again when it tries again.
    ///
    /// How the lease was found stays written in it ([`Lease::was_expired`]), and so outlasts an answer that is lost.
    pub async fn acquire(
        &self,
        shard: u32,
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Acquired, StoreError> {
        let update = self
            .table
            .update(
                &key(shard),
                // What is on the right of an assignment is as it was before all of them.
                "SET #predecessor = if_not_exists(#owner, :nobody), \
                 #was_handed_over = if_not_exists(#handed_over, :no), \
                 #owner = :owner, #expires_at = :expires_at, #renewed_at = :now \
                 REMOVE #successor, #successor_until, #handed_over ADD #token :one",
            )
            .on_condition(
                "attribute_not_exists(#owner) OR #expires_at <= :now \
                 OR (#owner = :owner AND attribute_exists(#handed_over))",
            )
            .value(":owner", text(owner))
            .value(":nobody", text(""))
            .value(":no", boolean(false))
            .value(":expires_at", text(now.plus(ttl)))
            .value(":now", text(now))
            .value(":one", number(1));
        match update.send().await? {
            Conditional::Met(item) => Ok(Acquired::Held(from_item(item)?)),
            Conditional::Failed(None) => Err(StoreError::Unavailable("the lease went away".into())),
            Conditional::Failed(Some(item)) => {
                let lease = from_item::<Lease>(item)?.at(now);
                Ok(if lease.owner == owner { Acquired::Held(lease) } else { Acquired::Busy(lease) })
            }
        }
    }

    /// Asks whoever holds the lease to hand it over to `successor`; the wish holds for `ttl`.
    pub async fn announce(
        &self,
        shard: u32,
        successor: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Announced, StoreError> {
        let update = self
            .table
            .update(&key(shard), "SET #successor = :successor, #successor_until = :until")
            .on_condition(
                "attribute_exists(#owner) AND #expires_at > :now AND (attribute_not_exists(#successor) \
                 OR #successor = :successor OR #successor_until <= :now)",
            )
            .value(":successor", text(successor))
            .value(":until", text(now.plus(ttl)))
            .value(":now", text(now));
        match update.send().await? {
            Conditional::Met(_) => Ok(Announced::Waiting),
            Conditional::Failed(None) => Ok(Announced::Free),
            Conditional::Failed(Some(item)) => {
                let is_held = from_item::<Lease>(item)?.is_held(now);
                Ok(if is_held { Announced::Taken } else { Announced::Free })
            }
        }
    }

    /// Prolongs the lease and tells who wants it; `None` if it is another's by now, and nothing may be published.
    pub async fn renew(
        &self,
        shard: u32,
        lease: &Lease,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let update = self
            .table
            .update(&key(shard), "SET #expires_at = :expires_at, #renewed_at = :now")
            .on_condition(STILL_MINE)
            .value(":owner", text(&lease.owner))
            .value(":token", number(lease.token))
            .value(":expires_at", text(now.plus(ttl)))
            .value(":now", text(now));
        match update.send().await? {
            Conditional::Met(item) => Ok(Some(from_item::<Lease>(item)?.at(now))),
            Conditional::Failed(_) => Ok(None),
        }
    }

    /// Hands the lease over, or gives it back. A lease that is another's by now stays so.
    pub async fn release(&self, shard: u32, lease: &Lease, to: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
        let expression = match to {
            Some(_) => {
                "SET #owner = :to, #handed_over = :yes, #expires_at = :expires_at REMOVE #successor, #successor_until"
            }
            None => "SET #expires_at = :expires_at REMOVE #owner, #successor, #successor_until",
        };
        let update = self
            .table
            .update(&key(shard), expression)
            .on_condition(STILL_MINE)
            .value(":owner", text(&lease.owner))
            .value(":token", number(lease.token));
        let update = match to {
            Some(to) => update
                .value(":to", text(to))
                .value(":yes", boolean(true))
                .value(":expires_at", text(now.plus(HANDOVER))),
            None => update.value(":expires_at", text(now)),
        };
        update.send().await?;
        Ok(())
    }
}

fn key(shard: u32) -> Key {
    Key::lease(shard)
}
