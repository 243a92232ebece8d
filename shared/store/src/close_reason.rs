//! The end of a connection, as Livefold wants it: marked by whoever finds the reason, carried out by the publisher.
//!
//! A mark is never taken back: after it nothing is sent to the connection but why it ends.

use futures_util::{StreamExt, stream};
use projections::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Connections, StoreError,
    table::{Conditional, Item, from_item, text},
};

/// Marks that are written at the same time. Each takes some 10 ms, and DynamoDB takes 1,000 a second for a shard.
const MARKS: usize = 10;

/// Why a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Its token has expired and no new one came.
    TokenExpired,
    /// Its token was revoked.
    Revoked,
    /// It went on sending after it was told to stop.
    RateLimited,
    /// Its user opened more connections than are allowed, and it was the least recently active.
    Replaced,
}

impl CloseReason {
    /// As it is stored.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TokenExpired => "token_expired",
            Self::Revoked => "revoked",
            Self::RateLimited => "rate_limited",
            Self::Replaced => "replaced",
        }
    }

    /// What the connection of an item is ending for. Nothing else of the item has to be readable.
    pub(crate) fn of(item: Item) -> Result<Option<Self>, StoreError> {
        #[derive(Deserialize)]
        struct Marked {
            ending: Option<CloseReason>,
        }
        from_item(item).map(|Marked { ending }| ending)
    }
}

impl Connections {
    /// Marks a connection for the publisher to close; the first reason stays. False if it is gone. Doing so again is no
    /// error and enters it in the journal once more, which the first time may not have come to.
    pub async fn end(&self, id: &str, ending: CloseReason, now: Timestamp) -> Result<bool, StoreError> {
        let is_there = self.mark(id, ending, now).await?;
        if is_there {
            self.enter_change(id).await?;
        }
        Ok(is_there)
    }

    /// Marks many connections; tells how many were there. Where some could not be marked the others are, and doing so again
    /// is no error.
    pub async fn end_all(&self, ids: Vec<String>, ending: CloseReason, now: Timestamp) -> Result<usize, StoreError> {
        let end = |id: String| async move { self.end(&id, ending, now).await };
        let ended: Vec<_> = stream::iter(ids).map(end).buffer_unordered(MARKS).collect().await;
        let ended: Vec<bool> = ended.into_iter().collect::<Result<_, _>>()?;
        Ok(ended.into_iter().filter(|is_there| *is_there).count())
    }

    /// Marks a connection unless it is marked; false if it is gone.
    async fn mark(&self, id: &str, ending: CloseReason, now: Timestamp) -> Result<bool, StoreError> {
        // When it was, nobody reads but people who look into the table.
        let update = self
            .table
            .update(&self.key(id), "SET #ending = :ending, #ended_at = :now")
            .on_condition("attribute_exists(#pk) AND attribute_not_exists(#ending)")
            .value(":ending", text(ending.name()))
            .value(":now", text(now));
        Ok(!matches!(update.send().await?, Conditional::Failed(None)))
    }

    /// Marks a connection whose token has expired, unless a new one came in the meantime, and tells what it is ending
    /// for; `None` if it is not, or if it is gone. For the publisher, who knows then: it enters nothing in the journal.
    pub async fn expire(&self, id: &str, now: Timestamp) -> Result<Option<CloseReason>, StoreError> {
        let update = self
            .table
            .update(&self.key(id), "SET #ending = :ending, #ended_at = :now")
            .on_condition("attribute_not_exists(#ending) AND #principal.#expires_at <= :now")
            .value(":ending", text(CloseReason::TokenExpired.name()))
            .value(":now", text(now));
        match update.send().await? {
            Conditional::Met(_) => Ok(Some(CloseReason::TokenExpired)),
            Conditional::Failed(found) => found.map_or(Ok(None), CloseReason::of),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_stored_under_the_name_that_it_is_read_from() {
        for reason in [CloseReason::TokenExpired, CloseReason::Revoked, CloseReason::RateLimited, CloseReason::Replaced]
        {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
    }
}
