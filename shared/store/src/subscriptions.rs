//! Subscriptions: what a connection watches.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use projections::ChannelId;

use crate::{
    Connection, Connections, StoreError,
    table::{Conditional, Update, boolean, from_item, number, text},
};

/// How often a subscription starts over because another one of the same connection came in between.
const MAX_ROUNDS: usize = 8;

/// On which terms a connection subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How many channels it may watch.
    pub max: usize,
    /// Whether it takes several messages in one frame from now on. Where it does already, it goes on doing so.
    pub batch: bool,
}

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
    /// Lets a connection watch a channel; `answered` tells the publisher which view its answer carried. The first
    /// subscription takes the place of what every new connection watches.
    pub async fn subscribe(
        &self,
        id: &str,
        channel: &ChannelId,
        answered: &str,
        terms: Terms,
    ) -> Result<(), SubscribeError> {
        for _ in 0..MAX_ROUNDS {
            let another = terms
                .update(self, id, "#channels.#channel = :answered")
                .on_condition("#is_default = :no AND (size(#channels) < :max OR attribute_exists(#channels.#channel))")
                .name("#channel", channel.to_string())
                .value(":answered", text(answered))
                .value(":no", boolean(false))
                .value(":max", number(terms.max));
            let found = match another.send().await? {
                Conditional::Met(_) => return Ok(self.enter_change(id).await?),
                Conditional::Failed(found) => found.ok_or(SubscribeError::Gone)?,
            };
            let found: Connection = from_item(found)?;
            if !found.is_default {
                return Err(SubscribeError::TooMany);
            }
            let only = AttributeValue::M(HashMap::from([(channel.to_string(), text(answered))]));
            let first = terms
                .update(self, id, "#channels = :only, #is_default = :no")
                .on_condition("#is_default = :yes")
                .value(":only", only)
                .value(":no", boolean(false))
                .value(":yes", boolean(true));
            if let Conditional::Met(_) = first.send().await? {
                return Ok(self.enter_change(id).await?);
            }
        }
        Err(contended())
    }

    /// Lets a connection watch several channels, each with what answered it, in one write. `known` is the connection as it
    /// was read last. Returns those that would be too many; the others are watched. Where all are, nothing is changed.
    pub async fn subscribe_all(
        &self,
        known: &Connection,
        answered: &[(ChannelId, String)],
        terms: Terms,
    ) -> Result<Vec<ChannelId>, SubscribeError> {
        let mut known = known.clone();
        for _ in 0..MAX_ROUNDS {
            let refused = known.beyond(answered.iter().map(|(channel, _)| channel), terms.max);
            if refused.len() == answered.len() {
                return Ok(refused);
            }
            let mut channels = known.watched().clone();
            channels.extend(answered.iter().filter(|(channel, _)| !refused.contains(channel)).cloned());
            let update = terms
                .update(self, &known.id, "#channels = :channels, #is_default = :no")
                .value(":channels", map(&channels))
                .value(":no", boolean(false));
            match on_unchanged(update, &known).send().await? {
                Conditional::Met(_) => {
                    self.enter_change(&known.id).await?;
                    return Ok(refused);
                }
                Conditional::Failed(found) => known = from_item(found.ok_or(SubscribeError::Gone)?)?,
            }
        }
        Err(contended())
    }

    /// Lets a connection no longer watch a channel. Not to have watched it is no error, and no change: nothing is entered
    /// in the journal, so that nobody has the publisher read for nothing.
    pub async fn unsubscribe(&self, id: &str, channel: &ChannelId) -> Result<(), SubscribeError> {
        let update = self
            .table
            .update(&self.key(id), "REMOVE #channels.#channel")
            .on_condition("attribute_exists(#channels.#channel)")
            .name("#channel", channel.to_string());
        match update.send().await? {
            Conditional::Met(_) => Ok(self.enter_change(id).await?),
            Conditional::Failed(Some(_)) => Ok(()),
            Conditional::Failed(None) => Err(SubscribeError::Gone),
        }
    }

    /// Lets a connection no longer watch several channels, in one write, and in none where it watches none of them.
    /// `known` is the connection as it was read last.
    pub async fn unsubscribe_all(&self, known: &Connection, channels: &[ChannelId]) -> Result<(), SubscribeError> {
        let mut known = known.clone();
        for _ in 0..MAX_ROUNDS {
            let mut left = known.channels.clone();
            left.retain(|channel, _| !channels.contains(channel));
            if left.len() == known.channels.len() {
                return Ok(());
            }
            let update = self.table.update(&self.key(&known.id), "SET #channels = :channels");
            match on_unchanged(update.value(":channels", map(&left)), &known).send().await? {
                Conditional::Met(_) => return Ok(self.enter_change(&known.id).await?),
                Conditional::Failed(found) => known = from_item(found.ok_or(SubscribeError::Gone)?)?,
            }
        }
        Err(contended())
    }
}

impl Connection {
    /// What it watches by its own choice.
    fn watched(&self) -> &BTreeMap<ChannelId, String> {
        static NOTHING: BTreeMap<ChannelId, String> = BTreeMap::new();
        if self.is_default { &NOTHING } else { &self.channels }
    }

    /// Which of these channels, none of them named twice, would be more than the `max` that it may watch.
    #[must_use]
    pub fn beyond<'a>(&self, wanted: impl IntoIterator<Item = &'a ChannelId>, max: usize) -> Vec<ChannelId> {
        let watched = self.watched();
        let is_new = |channel: &&ChannelId| !watched.contains_key(*channel);
        wanted.into_iter().filter(is_new).skip(max.saturating_sub(watched.len())).cloned().collect()
    }
}

impl Terms {
    /// The update that sets these attributes, and the wish for batches where there is one.
    fn update(self, connections: &Connections, id: &str, set: &str) -> Update {
        let key = connections.key(id);
        if self.batch {
            let update = connections.table.update(&key, &format!("SET {set}, #batch = :yes_batch"));
            update.value(":yes_batch", boolean(true))
        } else {
            connections.table.update(&key, &format!("SET {set}"))
        }
    }
}

/// Updates a connection only if nothing else has changed what it watches.
fn on_unchanged(update: Update, known: &Connection) -> Update {
    update
        .on_condition("#channels = :known AND #is_default = :was_default")
        .value(":known", map(&known.channels))
        .value(":was_default", boolean(known.is_default))
}

fn map(channels: &BTreeMap<ChannelId, String>) -> AttributeValue {
    AttributeValue::M(channels.iter().map(|(channel, answered)| (channel.to_string(), text(answered))).collect())
}

fn contended() -> SubscribeError {
    StoreError::Unavailable("too many subscriptions of one connection at once".into()).into()
}
