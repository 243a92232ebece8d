//! Who may open a socket.

use std::collections::BTreeMap;

use admission::Refusal;
use auth::{Action, AuthRequest, Credential, Origins, Principal, Verifier};
use futures_util::future::try_join;
use projections::{ChannelId, Timestamp};
use protocol::ErrorCode;
use runtime::{
    PublisherWaker,
    audit::{self, Audit, AuditEvent},
};
use store::{ConnectError, Connection, Connections, Limits, Requests, Revocations, Tickets};

/// What lets connections in.
pub(crate) struct HandshakeAdmission {
    pub(crate) verifier: Verifier,
    pub(crate) origins: Origins,
    pub(crate) tickets: Tickets,
    pub(crate) connections: Connections,
    pub(crate) revocations: Revocations,
    pub(crate) requests: Requests,
    pub(crate) requests_per_minute: u64,
    pub(crate) limits: Limits,
    pub(crate) policy: LimitPolicy,
    pub(crate) waker: PublisherWaker,
}

/// What becomes of a handshake whose user has as many connections as allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitPolicy {
    /// It is let in, and the least recently active connection of the user goes.
    Replace,
    /// It is refused.
    Refuse,
}

/// A handshake that asks to be let in.
pub(crate) struct Handshake<'a> {
    /// API Gateway's id of what may become a connection.
    pub(crate) id: &'a str,
    /// What the handshake brings, or why it is not even looked at.
    pub(crate) presented: Result<AuthRequest<'a>, auth::AuthRequestError>,
    /// The address that it comes from.
    pub(crate) source_ip: Option<&'a str>,
}

impl HandshakeAdmission {
    /// Lets a connection in, or says why not. Both are written into the audit trail.
    pub(crate) async fn admit(&self, handshake: &Handshake<'_>, now: Timestamp) -> Result<(), ErrorCode> {
        match self.decide(handshake, now).await {
            Ok(principal) => {
                let audit = Audit { principal: Some(&principal), source_ip: handshake.source_ip, ..Audit::default() };
                audit::record(AuditEvent::Connect, &audit);
                Ok(())
            }
            Err(refusal) => {
                refusal.record(None, handshake.source_ip);
                Err(refusal.code)
            }
        }
    }

    async fn decide(&self, handshake: &Handshake<'_>, now: Timestamp) -> Result<Principal, Refusal> {
        let presented = handshake.presented?;
        self.origins.check(&presented)?;
        let principal = self.identify(&presented, now).await?;
        if !auth::allows(&principal, Action::Connect) {
            return Err(Refusal::from(ErrorCode::Forbidden).of(&principal));
        }
        self.check(&principal, now).await.map_err(|refusal| refusal.of(&principal))?;
        self.enter(handshake, &principal, now).await.map_err(|refusal| refusal.of(&principal))?;
        self.waker.wake_unless_leased(self.connections.shard_of(handshake.id), now).await;
        Ok(principal)
    }

    async fn identify(&self, presented: &AuthRequest<'_>, now: Timestamp) -> Result<Principal, Refusal> {
        match presented.credential {
            Some((_, Credential::Token(token))) => Ok(self.verifier.verify(token, now).await?),
            Some((_, Credential::Ticket(ticket))) => {
                let principal = self.tickets.redeem(&admission::digest(ticket), now).await?;
                principal.ok_or_else(|| Refusal::because(ErrorCode::Unauthorized, "the ticket is not valid"))
            }
            None => Err(Refusal::because(ErrorCode::Unauthorized, "no token")),
        }
    }

    /// Refuses those whose token counts no longer, before they take a place, and those who come too often: a handshake is
    /// a request as any other.
    async fn check(&self, principal: &Principal, now: Timestamp) -> Result<(), Refusal> {
        let is_revoked = self.revocations.is_revoked(principal);
        let counted = self.requests.count(&principal.tenant, &principal.user, now);
        match try_join(is_revoked, counted).await? {
            (true, _) => Err(ErrorCode::Revoked.into()),
            (false, requests) if requests > self.requests_per_minute => Err(ErrorCode::RateLimited.into()),
            _ => Ok(()),
        }
    }

    /// Remembers the connection, unless there are too many or its token was revoked.
    async fn enter(&self, handshake: &Handshake<'_>, principal: &Principal, now: Timestamp) -> Result<(), Refusal> {
        let connection = Connection {
            id: handshake.id.to_owned(),
            principal: principal.clone(),
            channels: defaults(principal),
            is_default: true,
            batch: handshake.presented.is_ok_and(|presented| presented.asks_for_batch()),
            connected_at: now,
            source_ip: handshake.source_ip.map(str::to_owned),
            ending: None,
        };
        let connected = match self.policy {
            LimitPolicy::Replace => self.connections.connect_replacing(&connection, self.limits, now).await,
            LimitPolicy::Refuse => self.connections.connect(&connection, self.limits, now).await.map(|()| None),
        };
        let replaced = connected.map_err(|error| match error {
            ConnectError::TooManyOfUser | ConnectError::TooManyOfTenant => {
                Refusal::because(ErrorCode::TooManyConnections, error)
            }
            ConnectError::Store(error) => error.into(),
        })?;
        if let Some(replaced) = replaced {
            self.waker.wake_unless_leased(self.connections.shard_of(&replaced), now).await;
        }
        // Asked again once it is stored: a revocation at the same moment is seen here, or sees the connection.
        let refusal = match self.revocations.is_revoked(principal).await {
            Ok(false) => return Ok(()),
            Ok(true) => ErrorCode::Revoked.into(),
            Err(error) => Refusal::from(error),
        };
        // The socket will not open, so no `$disconnect` comes. If this fails, the first post finds the connection gone.
        if let Err(error) = self.connections.disconnect(handshake.id).await {
            tracing::warn!(%error, "a connection that was refused is not forgotten");
        }
        Err(refusal)
    }
}

/// What a new connection watches, as far as its token opens it.
fn defaults(principal: &Principal) -> BTreeMap<ChannelId, String> {
    let all = [ChannelId::campaigns(), ChannelId::system()];
    let opened = all.into_iter().filter(|channel| auth::allows(principal, Action::Read(channel)));
    opened.map(|channel| (channel, String::new())).collect()
}
