//! Ending the access of a user, or of everyone in a tenant.

use std::collections::BTreeSet;

use auth::Principal;
use futures_util::{StreamExt, stream};
use projections::{TenantId, Timestamp};
use protocol::ErrorCode;
use runtime::PublisherWaker;
use serde::{Deserialize, Serialize};
use store::{CloseReason, Connections, Revocations, StoreError};

/// The largest body: a user and what is around it.
const MAX_BODY_BYTES: usize = 1024;

/// Connections that are looked at, or shards whose publisher is woken, at the same time.
const AT_ONCE: usize = 20;

/// Whose access ends. The body names exactly one of them, and nothing else.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RevocationTarget {
    /// One user's.
    User(String),
    /// The whole tenant's. Spelled out, so that nothing left out by mistake means it.
    Everyone(bool),
}

impl RevocationTarget {
    /// Reads the body of a request.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ErrorCode> {
        // Serde would take a text for the name of a variant.
        let is_object = body.trim_ascii_start().starts_with(b"{") && body.len() <= MAX_BODY_BYTES;
        let target = is_object.then(|| serde_json::from_slice(body).ok()).flatten();
        let can_be = |target: &Self| match target {
            Self::User(user) => auth::is_user(user),
            Self::Everyone(everyone) => *everyone,
        };
        target.filter(can_be).ok_or(ErrorCode::InvalidRequest)
    }

    /// Whose access ends, where it is one user's.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::User(user) => Some(user),
            Self::Everyone(_) => None,
        }
    }

    /// For the audit trail, which names nobody.
    pub(crate) fn described(&self) -> &'static str {
        match self {
            Self::User(_) => "one user",
            Self::Everyone(_) => "everyone",
        }
    }
}

/// Where revocations are written down and carried out.
pub(crate) struct Registry {
    pub(crate) revocations: Revocations,
    pub(crate) connections: Connections,
    pub(crate) waker: PublisherWaker,
}

/// What has been revoked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Revoked {
    /// Tokens issued until then count no longer.
    revoked_before: Timestamp,
    /// So many connections are being closed.
    connections: usize,
}

impl Registry {
    /// Revokes the tokens issued until now: who comes in from now on finds it written down.
    pub(crate) async fn revoke(
        &self,
        tenant: &TenantId,
        target: &RevocationTarget,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.revocations.revoke(tenant, target.user(), now).await
    }

    /// Has the publishers close the connections that were opened with tokens revoked `now`. Where it fails half-way,
    /// revoking again does the rest.
    pub(crate) async fn close(
        &self,
        tenant: &TenantId,
        target: &RevocationTarget,
        now: Timestamp,
    ) -> Result<Revoked, StoreError> {
        let ids = if let Some(user) = target.user() {
            self.of_user(tenant, user, now).await?
        } else {
            let connections = self.connections.of_tenant(tenant).await?.into_iter();
            connections.filter(|found| covers(now, &found.principal)).map(|found| found.id).collect()
        };
        let shards: BTreeSet<u32> = ids.iter().map(|id| self.connections.shard_of(id)).collect();
        let ended = self.connections.end_all(ids, CloseReason::Revoked, now).await;
        let wake = |shard| self.waker.wake_unless_leased(shard, now);
        stream::iter(shards).map(wake).buffer_unordered(AT_ONCE).collect::<()>().await;
        Ok(Revoked { revoked_before: now, connections: ended? })
    }

    /// The user's connections that a revocation covers. One that cannot be looked at counts: that it is closed without
    /// need does less harm than that it stays.
    async fn of_user(&self, tenant: &TenantId, user: &str, before: Timestamp) -> Result<Vec<String>, StoreError> {
        let look = |id: String| async move {
            let is_covered = match self.connections.get(&id).await {
                Ok(connection) => connection.is_some_and(|connection| covers(before, &connection.principal)),
                Err(error) => {
                    tracing::warn!(%error, "a connection is closed unseen");
                    true
                }
            };
            is_covered.then_some(id)
        };
        let ids = self.connections.of_user(tenant, user).await?;
        Ok(stream::iter(ids).map(look).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await)
    }
}

/// Whether a revocation of this moment covers the principal's token.
fn covers(before: Timestamp, principal: &Principal) -> bool {
    principal.issued_at <= before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_of_a_user_and_everyone_is_named() {
        let user = |name: &str| Ok(RevocationTarget::User(name.to_owned()));
        let long = |length: usize| format!(r#"{{"user":"{}"}}"#, "x".repeat(length));
        assert_eq!(RevocationTarget::parse(br#"{"user":"ann"}"#), user("ann"));
        assert_eq!(RevocationTarget::parse(b" {\"user\": \"a#b|c\"}\n"), user("a#b|c"));
        assert_eq!(RevocationTarget::parse(br#"{"everyone":true}"#), Ok(RevocationTarget::Everyone(true)));
        assert_eq!(RevocationTarget::parse(long(256).as_bytes()), user(&"x".repeat(256)));
        let padded = format!("{:<1025}", r#"{"user":"ann"}"#);
        for bad in [
            "",
            "{}",
            "null",
            "\"user\"",
            "[\"user\",\"ann\"]",
            r#"{"user":"ann","everyone":true}"#,
            r#"{"user":"ann","everyone":false}"#,
            r#"{"user":"ann","user":"ben"}"#,
            r#"{"user":"ann","tenant":"globex"}"#,
            r#"{"tenant":"globex"}"#,
            r#"{"everyone":false}"#,
            r#"{"everyone":"true"}"#,
            r#"{"everyone":1}"#,
            r#"{"everyone":null}"#,
            r#"{"user":null}"#,
            r#"{"user":""}"#,
            r#"{"user":7}"#,
            r#"{"user":"a\nb"}"#,
            r#"{"User":"ann"}"#,
            r#"{"user":"ann"} {}"#,
            r#"{"user":"ann""#,
            "user=ann",
            &long(257),
            &padded,
        ] {
            assert_eq!(RevocationTarget::parse(bad.as_bytes()), Err(ErrorCode::InvalidRequest), "{bad:.80}");
        }
        assert_eq!(RevocationTarget::parse(b"{\"user\":\"\xff\"}"), Err(ErrorCode::InvalidRequest));
    }
}
