//! A tenant's quota: how many connections one tenant may have.
//!
//! They are too many to be listed in an item as a user's are, so they are counted, by the ten minutes in which the
//! connections were opened. When all that were opened in such a bucket must be over the bucket is dropped, and what lost
//! `$disconnect`s have left in it is forgotten. The count may be too high for that long; it is never too low: what raises
//! it may happen twice when the SDK tries again, what lowers it is sent at most once.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use projections::{TenantId, Timestamp};
use serde::Deserialize;

use crate::{
    ConnectError, Connection, MAX_CONNECTION_AGE, StoreError,
    keys::Key,
    table::{Conditional, Item, Table, Update, from_item, number},
};

/// How long a bucket is: fourteen of them are in use at a time, and a lost `$disconnect` is forgotten no more than this
/// later than its connection must be over.
const BUCKET: Duration = Duration::from_mins(10);

/// How often taking a place starts over because the item changed in between.
const MAX_ROUNDS: usize = 8;

/// The most buckets that are dropped in one update: an expression holds 4 KB.
const DROPPED_AT_ONCE: usize = 100;

/// A tenant's connections: all, and by bucket. The total is there because a condition cannot add.
#[derive(Deserialize)]
struct Places {
    buckets: HashMap<String, u64>,
}

impl Places {
    /// The buckets whose connections are over, with what is left in them.
    fn over(self, now: Timestamp) -> Vec<(String, u64)> {
        let is_over = |name: &String| name.parse().is_ok_and(|bucket: i64| end_of(bucket) <= now.as_seconds());
        self.buckets.into_iter().filter(|(name, _)| is_over(name)).take(DROPPED_AT_ONCE).collect()
    }
}

/// Takes one of the tenant's places, unless all `limit` are taken. Taking it twice, as an SDK that tries again may do,
/// counts twice until the bucket is dropped.
pub(crate) async fn take(
    table: &Table,
    connection: &Connection,
    limit: u64,
    now: Timestamp,
) -> Result<(), ConnectError> {
    let tenant = Key::tenant(&connection.principal.tenant);
    let bucket = bucket_of(connection.connected_at);
    // A bucket later, for a neighbour's write that comes late must not make it earlier than what is in use.
    let ttl = number(end_of(bucket + 1));
    if limit == 0 {
        return Err(ConnectError::TooManyOfTenant);
    }
    for _ in 0..MAX_ROUNDS {
        let taken = table
            .update(
                &tenant,
                "SET #buckets.#bucket = if_not_exists(#buckets.#bucket, :none) + :one, #ttl = :ttl ADD #total :one",
            )
            .on_condition("#total < :limit")
            .name("#bucket", bucket.to_string())
            .value(":none", number(0))
            .value(":one", number(1))
            .value(":limit", number(limit))
            .value(":ttl", ttl.clone());
        match taken.send().await? {
            Conditional::Met(item) => {
                // The place is taken, whatever becomes of this: the next one tries again.
                if let Ok(places) = from_item::<Places>(item) {
                    let _ = drop_buckets(table, &tenant, &places.over(now)).await;
                }
                return Ok(());
            }
            Conditional::Failed(None) => {
                let buckets = AttributeValue::M(HashMap::from([(bucket.to_string(), number(1))]));
                let item =
                    Item::from([("buckets".into(), buckets), ("total".into(), number(1)), ("ttl".into(), ttl.clone())]);
                if let Conditional::Met(_) = table.put_if(&tenant, item, "attribute_not_exists(#pk)", []).await? {
                    return Ok(());
                }
            }
            Conditional::Failed(Some(item)) => {
                let over = from_item::<Places>(item)?.over(now);
                if over.is_empty() {
                    return Err(ConnectError::TooManyOfTenant);
                }
                drop_buckets(table, &tenant, &over).await?;
            }
        }
    }
    Err(StoreError::Unavailable("too many connections of one tenant at once".into()).into())
}

/// Frees the place of a connection that was opened then. To be called once for it: by whoever has deleted its item. After
/// an error it may be counted until its bucket is dropped.
pub(crate) async fn release(table: &Table, tenant: &TenantId, connected_at: Timestamp) -> Result<(), StoreError> {
    let update = table
        .update(&Key::tenant(tenant), "SET #buckets.#bucket = #buckets.#bucket - :one, #total = #total - :one")
        // A bucket that was dropped is not counted any more.
        .on_condition("#buckets.#bucket >= :one")
        .name("#bucket", bucket_of(connected_at).to_string())
        .value(":one", number(1));
    update.send_at_most_once().await?;
    Ok(())
}

/// Drops buckets, unless one of them has changed. It cannot do so twice: then they are gone.
async fn drop_buckets(table: &Table, tenant: &Key, over: &[(String, u64)]) -> Result<(), StoreError> {
    if over.is_empty() {
        return Ok(());
    }
    let each = |part: fn(usize) -> String| -> Vec<String> { (0..over.len()).map(part).collect() };
    let paths = each(|index| format!("#buckets.#b{index}")).join(", ");
    let unchanged = each(|index| format!("#buckets.#b{index} = :b{index}")).join(" AND ");
    let left: u64 = over.iter().map(|(_, count)| count).sum();
    let update = table
        .update(tenant, &format!("SET #total = #total - :left REMOVE {paths}"))
        .on_condition(&unchanged)
        .value(":left", number(left));
    let named = |update: Update, (index, (bucket, count)): (usize, &(String, u64))| {
        update.name(format!("#b{index}"), bucket).value(&format!(":b{index}"), number(count))
    };
    over.iter().enumerate().fold(update, named).send().await?;
    Ok(())
}

fn bucket_of(connected_at: Timestamp) -> i64 {
    connected_at.as_seconds().div_euclid(BUCKET.as_secs().cast_signed())
}

/// The second of the epoch in which every connection that was opened in the bucket must be over.
fn end_of(bucket: i64) -> i64 {
    (bucket + 1) * BUCKET.as_secs().cast_signed() + MAX_CONNECTION_AGE.as_secs().cast_signed()
}
