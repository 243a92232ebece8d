//! A user's quota: how many connections one user may have.
//!
//! A place is free again when its connection ends, at the user's limit when it turns out to be nobody's
//! (`replacement.rs`), or at the latest when API Gateway would have ended it: `$disconnect` is best effort.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use projections::{TenantId, Timestamp};
use serde::Deserialize;

use crate::{
    Connection, MAX_CONNECTION_AGE, StoreError,
    keys::Key,
    table::{Conditional, Item, Table, Update, from_item, number},
};

/// How often taking a place starts over because another connection of the user came in between.
const MAX_ROUNDS: usize = 8;

/// The most places that are freed in one update: an expression holds 4 KB.
const FREED_AT_ONCE: usize = 100;

/// The connections of a user, each with the second of the epoch in which its place is free again.
#[derive(Deserialize)]
struct Places {
    connections: HashMap<String, i64>,
}

/// Whether a place could be taken.
pub(crate) enum Place {
    /// It is the connection's.
    Taken,
    /// All are taken, by these connections since then.
    Full(Vec<(String, Timestamp)>),
}

/// Takes one of the user's places, unless all `limit` are taken. Taking it again, as an SDK that tries again does, is
/// taking it once.
pub(crate) async fn take(
    table: &Table,
    connection: &Connection,
    limit: usize,
    now: Timestamp,
) -> Result<Place, StoreError> {
    let user = key_of(connection);
    let free_again = free_again(connection);
    if limit == 0 {
        return Ok(Place::Full(Vec::new()));
    }
    for _ in 0..MAX_ROUNDS {
        let taken = table
            .update(&user, "SET #connections.#id = :free_again, #ttl = :free_again")
            .on_condition("size(#connections) < :limit OR attribute_exists(#connections.#id)")
            .name("#id", &connection.id)
            .value(":free_again", free_again.clone())
            .value(":limit", number(limit))
            .send();
        match taken.await? {
            Conditional::Met(_) => return Ok(Place::Taken),
            Conditional::Failed(None) => {
                let places = AttributeValue::M(HashMap::from([(connection.id.clone(), free_again.clone())]));
                let item = Item::from([("connections".into(), places), ("ttl".into(), free_again.clone())]);
                if let Conditional::Met(_) = table.put_if(&user, item, "attribute_not_exists(#pk)", []).await? {
                    return Ok(Place::Taken);
                }
            }
            Conditional::Failed(Some(item)) => {
                let Places { connections } = from_item(item)?;
                let expired = connections.iter().filter(|(_, free_again)| **free_again <= now.as_seconds());
                let expired: Vec<String> = expired.map(|(id, _)| id.clone()).take(FREED_AT_ONCE).collect();
                if expired.is_empty() {
                    let taken_at = |free_again: i64| {
                        let seconds = free_again - MAX_CONNECTION_AGE.as_secs().cast_signed();
                        Timestamp::from_millis(seconds.saturating_mul(1000))
                    };
                    return Ok(Place::Full(connections.into_iter().map(|(id, free)| (id, taken_at(free))).collect()));
                }
                free_of(table, &user, &expired).await?;
            }
        }
    }
    Err(StoreError::Unavailable("too many connections of one user at once".into()))
}

/// Gives the connection the place of another one of the user; false if that has none any more. Whoever tries again
/// after a lost answer finds it given.
pub(crate) async fn hand_over(table: &Table, connection: &Connection, from: &str) -> Result<bool, StoreError> {
    let given = table
        .update(&key_of(connection), "REMOVE #connections.#from SET #connections.#id = :free_again, #ttl = :free_again")
        .on_condition("attribute_exists(#connections.#from) AND attribute_not_exists(#connections.#id)")
        .name("#from", from)
        .name("#id", &connection.id)
        .value(":free_again", free_again(connection))
        .send();
    match given.await? {
        Conditional::Met(_) => Ok(true),
        Conditional::Failed(None) => Ok(false),
        Conditional::Failed(Some(item)) => {
            from_item(item).map(|Places { connections }| connections.contains_key(&connection.id))
        }
    }
}

fn key_of(connection: &Connection) -> Key {
    Key::user(&connection.principal.tenant, &connection.principal.user)
}

/// When the connection's place is free again at the latest.
fn free_again(connection: &Connection) -> AttributeValue {
    number(connection.connected_at.plus(MAX_CONNECTION_AGE).as_seconds())
}

/// Frees the place of a connection. Freeing it again changes nothing.
pub(crate) async fn release(table: &Table, tenant: &TenantId, user: &str, id: &str) -> Result<(), StoreError> {
    free_of(table, &Key::user(tenant, user), &[id.to_owned()]).await
}

/// Frees places of the connection's user.
pub(crate) async fn free(table: &Table, connection: &Connection, ids: &[String]) -> Result<(), StoreError> {
    free_of(table, &key_of(connection), ids).await
}

/// The ids of a user's connections: of all that are there, and of those whose `$disconnect` was lost.
pub(crate) async fn taken(table: &Table, tenant: &TenantId, user: &str) -> Result<Vec<String>, StoreError> {
    let Some(item) = table.get(&Key::user(tenant, user)).await? else { return Ok(Vec::new()) };
    let places: Places = from_item(item)?;
    Ok(places.connections.into_keys().collect())
}

/// A connection takes a place once in its life, so freeing it cannot hit a new one.
async fn free_of(table: &Table, user: &Key, ids: &[String]) -> Result<(), StoreError> {
    let paths: Vec<String> = (0..ids.len()).map(|index| format!("#connections.#id{index}")).collect();
    let update = table.update(user, &format!("REMOVE {}", paths.join(", ")));
    // Without places there is nothing to free.
    let update = update.on_condition("attribute_exists(#connections)");
    let named = |update: Update, (index, id): (usize, &String)| update.name(format!("#id{index}"), id);
    ids.iter().enumerate().fold(update, named).send().await?;
    Ok(())
}
