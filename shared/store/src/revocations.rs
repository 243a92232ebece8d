//! Revocations: from when on the tokens of a user, or of a whole tenant, have to have been issued.
//!
//! They lie in the table of channels, which outlives the stack, and never expire: with a revocation gone, a token that
//! was stolen would be valid again. There is one for a user, however often it is made.

use auth::Principal;
use aws_sdk_dynamodb::Client;
use futures_util::future::try_join;
use projections::{TenantId, Timestamp};
use serde::Deserialize;

use crate::{
    StoreError,
    keys::Key,
    table::{Table, from_item, text},
};

/// A revocation as it is stored.
#[derive(Deserialize)]
struct Revoked {
    before: Timestamp,
}

/// The revocations, in the table of channels. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Revocations {
    table: Table,
}

impl Revocations {
    /// The revocations in the table of this name.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table::new(client, table) }
    }

    /// Revokes all tokens of a user, or of everyone, that were issued at this time or before. A revocation never moves
    /// back, so making it again, or an older one, changes nothing.
    pub async fn revoke(&self, tenant: &TenantId, user: Option<&str>, before: Timestamp) -> Result<(), StoreError> {
        let update = self
            .table
            .update(&Key::revoked(tenant, user), "SET #before = :before")
            .on_condition("attribute_not_exists(#before) OR #before < :before")
            .value(":before", text(before));
        // Where it does not hold, as much or more is revoked already.
        update.send().await?;
        Ok(())
    }

    /// Whether the principal's token was revoked. It sees every revocation that was acknowledged before it. Many issuers
    /// write whole seconds: a token of the second in which the revocation fell counts as issued at its beginning, so it is
    /// revoked even if it came after.
    pub async fn is_revoked(&self, principal: &Principal) -> Result<bool, StoreError> {
        let user = self.covers(principal, Some(&principal.user));
        let (user, everyone) = try_join(user, self.covers(principal, None)).await?;
        Ok(user || everyone)
    }

    async fn covers(&self, principal: &Principal, user: Option<&str>) -> Result<bool, StoreError> {
        let item = self.table.get(&Key::revoked(&principal.tenant, user)).await?;
        let revoked: Option<Revoked> = item.map(from_item).transpose()?;
        Ok(revoked.is_some_and(|Revoked { before }| principal.issued_at <= before))
    }
}
