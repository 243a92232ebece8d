//! Renewal: a new token for a connection that is open.

use auth::Principal;
use aws_sdk_dynamodb::types::AttributeValue;
use projections::{ChannelId, Timestamp};
use serde::Deserialize;

use crate::{
    CloseReason, Connections, StoreError,
    table::{Conditional, Update, from_item, text, to_item},
};

/// The most channels that are dropped in one update: an expression holds 4 KB.
const DROPPED_AT_ONCE: usize = 150;

/// A connection goes on, or ends, with the token that it had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// There is no such connection (any more).
    #[error("the connection is gone")]
    Gone,
    /// It is too late: the connection is about to be closed. Only a new one helps.
    #[error("the connection is ending")]
    Closing(CloseReason),
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What decides whether a connection can be renewed.
#[derive(Deserialize)]
struct Standing {
    principal: Until,
    ending: Option<CloseReason>,
}

#[derive(Deserialize)]
struct Until {
    expires_at: Timestamp,
}

impl Connections {
    /// Gives a connection a new token, and lets it no longer watch the channels that this one does not permit. Not one
    /// that is marked or whose token has expired by now: the publisher may have told it so already. The new token must be
    /// of the same tenant and user; another one's is refused here too, for the connection takes their places.
    ///
    /// Trying again, as the SDK does after a lost answer, writes the same once more; of two renewals at once it may so let
    /// the earlier one win.
    pub async fn renew(
        &self,
        id: &str,
        principal: &Principal,
        dropped: &[ChannelId],
        now: Timestamp,
    ) -> Result<(), RenewError> {
        // The new token comes with the last of them: never is it there with a channel that it does not permit.
        let (before, last) = dropped.split_at(dropped.len().saturating_sub(DROPPED_AT_ONCE));
        for channels in before.chunks(DROPPED_AT_ONCE) {
            let update = self.table.update(&self.key(id), &removal(channels));
            self.rewrite(named(update, channels), principal, now).await?;
        }
        let update = self.table.update(&self.key(id), &format!("SET #principal = :principal {}", removal(last)));
        let update = update.value(":principal", AttributeValue::M(to_item(&principal.with_known_permissions())?));
        self.rewrite(named(update, last), principal, now).await?;
        Ok(self.enter_change(id).await?)
    }

    /// Sends an update for a connection that may be renewed.
    async fn rewrite(&self, update: Update, principal: &Principal, now: Timestamp) -> Result<(), RenewError> {
        let update = update
            .on_condition(
                "attribute_not_exists(#ending) AND #principal.#expires_at > :now \
                 AND #principal.#tenant = :tenant AND #principal.#user = :user",
            )
            .value(":now", text(now))
            .value(":tenant", text(&principal.tenant))
            .value(":user", text(&principal.user));
        let found = match update.send().await? {
            Conditional::Met(_) => return Ok(()),
            Conditional::Failed(found) => found.ok_or(RenewError::Gone)?,
        };
        let Standing { principal, ending } = from_item(found)?;
        Err(match ending {
            Some(ending) => RenewError::Closing(ending),
            None if principal.expires_at <= now => RenewError::Closing(CloseReason::TokenExpired),
            None => StoreError::Refused("a token of another tenant or user".into()).into(),
        })
    }
}

fn removal(channels: &[ChannelId]) -> String {
    let paths: Vec<String> = (0..channels.len()).map(|index| format!("#channels.#channel{index}")).collect();
    if paths.is_empty() { String::new() } else { format!("REMOVE {}", paths.join(", ")) }
}

fn named(update: Update, channels: &[ChannelId]) -> Update {
    let name = |update: Update, (index, channel): (usize, &ChannelId)| {
        update.name(format!("#channel{index}"), channel.to_string())
    };
    channels.iter().enumerate().fold(update, name)
}
