//! Subscriptions: what a connection watches.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use projections::ChannelId;

use crate::{
    Connection, Connections, StoreError,
    table::{Conditional, boolean, from_item, number, text},
};

/// How often a subscription starts over because another one of the same connection came in between.
const MAX_ROUNDS: usize = 8;

/// A subscription was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// There is no such connection (any more).
    #[error("the connection is gone")]
    Gone,
    /// It watches as many channels as allowed. It has to unsubscribe from one first.
    #[error("the connection watches too many channels")]
    TooMany,
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Connections {
    /// Lets a connection watch a channel, of at most `max`; `answered` tells the publisher which view its answer carried. The first
    /// subscription takes the place of what every new connection watches.
    pub async fn subscribe(
        &self,
        id: &str,
        channel: &ChannelId,
        answered: &str,
        max: usize,
    ) -> Result<(), SubscribeError> {
        let key = self.key(id);
        for _ in 0..MAX_ROUNDS {
            let another = self
                .table
                .update(&key, "SET #channels.#channel = :answered")
                .on_condition("#is_default = :no AND (size(#channels) < :max OR attribute_exists(#channels.#channel))")
                .name("#channel", channel.to_string())
                .value(":answered", text(answered))
                .value(":no", boolean(false))
                .value(":max", number(max));
            let found = match another.send().await? {
                Conditional::Met(_) => return Ok(self.raise_version(id).await?),
                Conditional::Failed(found) => found.ok_or(SubscribeError::Gone)?,
            };
            let found: Connection = from_item(found)?;
            if !found.is_default {
                return Err(SubscribeError::TooMany);
            }
            let only = AttributeValue::M(HashMap::from([(channel.to_string(), text(answered))]));
            let first = self
                .table
                .update(&key, "SET #channels = :only, #is_default = :no")
                .on_condition("#is_default = :yes")
                .value(":only", only)
                .value(":no", boolean(false))
                .value(":yes", boolean(true));
            if let Conditional::Met(_) = first.send().await? {
                return Ok(self.raise_version(id).await?);
            }
        }
        Err(StoreError::Unavailable("too many subscriptions of one connection at once".into()).into())
    }

    /// Lets a connection no longer watch a channel. Not to have watched it is no error, and no change: the version stays,
    /// so that nobody can have the publisher read everything again for nothing.
    pub async fn unsubscribe(&self, id: &str, channel: &ChannelId) -> Result<(), SubscribeError> {
        let update = self
            .table
            .update(&self.key(id), "REMOVE #channels.#channel")
            .on_condition("attribute_exists(#channels.#channel)")
            .name("#channel", channel.to_string());
        match update.send().await? {
            Conditional::Met(_) => Ok(self.raise_version(id).await?),
            Conditional::Failed(Some(_)) => Ok(()),
            Conditional::Failed(None) => Err(SubscribeError::Gone),
        }
    }
}
