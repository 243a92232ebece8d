//! A user's places: how many connections one user may have.
//!
//! A place is free again when its connection ends, or at the latest when API Gateway would have ended it: `$disconnect`
//! is best effort, and a lost one must not lock a user out.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use projections::{TenantId, Timestamp};
use serde::Deserialize;

use crate::{
    ConnectError, Connection, MAX_CONNECTION_AGE, StoreError,
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

/// Takes one of the user's places, unless all `limit` are taken. Taking it again, as an SDK that tries again does, is
/// taking it once.
pub(crate) async fn take(
    table: &Table,
    connection: &Connection,
    limit: usize,
    now: Timestamp,
) -> Result<(), ConnectError> {
    let user = Key::user(&connection.principal.tenant, &connection.principal.user);
    let free_again = number(connection.connected_at.plus(MAX_CONNECTION_AGE).as_seconds());
    if limit == 0 {
        return Err(ConnectError::TooManyOfUser);
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
            Conditional::Met(_) => return Ok(()),
            Conditional::Failed(None) => {
                let places = AttributeValue::M(HashMap::from([(connection.id.clone(), free_again.clone())]));
                let item = Item::from([("connections".into(), places), ("ttl".into(), free_again.clone())]);
                if let Conditional::Met(_) = table.put_if(&user, item, "attribute_not_exists(#pk)", []).await? {
                    return Ok(());
                }
            }
            Conditional::Failed(Some(item)) => {
                let places: Places = from_item(item)?;
                let expired = places.connections.into_iter().filter(|(_, free_again)| *free_again <= now.as_seconds());
                let expired: Vec<String> = expired.map(|(id, _)| id).take(FREED_AT_ONCE).collect();
                if expired.is_empty() {
                    return Err(ConnectError::TooManyOfUser);
                }
                free(table, &user, &expired).await?;
            }
        }
    }
    Err(StoreError::Unavailable("too many connections of one user at once".into()).into())
}

/// Frees the place of a connection. Freeing it again changes nothing.
pub(crate) async fn leave(table: &Table, tenant: &TenantId, user: &str, id: &str) -> Result<(), StoreError> {
    free(table, &Key::user(tenant, user), &[id.to_owned()]).await
}

/// The ids of a user's connections: of all that are there, and of those whose `$disconnect` was lost.
pub(crate) async fn taken(table: &Table, tenant: &TenantId, user: &str) -> Result<Vec<String>, StoreError> {
    let Some(item) = table.get(&Key::user(tenant, user)).await? else { return Ok(Vec::new()) };
    let places: Places = from_item(item)?;
    Ok(places.connections.into_keys().collect())
}

/// A connection takes a place once in its life, so freeing it cannot hit a new one.
async fn free(table: &Table, user: &Key, ids: &[String]) -> Result<(), StoreError> {
    let paths: Vec<String> = (0..ids.len()).map(|index| format!("#connections.#id{index}")).collect();
    let update = table.update(user, &format!("REMOVE {}", paths.join(", ")));
    // Without places there is nothing to free.
    let update = update.on_condition("attribute_exists(#connections)");
    let named = |update: Update, (index, id): (usize, &String)| update.name(format!("#id{index}"), id);
    ids.iter().enumerate().fold(update, named).send().await?;
    Ok(())
}
