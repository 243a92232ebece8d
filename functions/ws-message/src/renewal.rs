//! A new token in the place of the one that a connection has.

use admission::Refusal;
use auth::{Action, Principal};
use projections::ChannelId;
use protocol::{ErrorCode, authenticated};
use runtime::audit::{self, Audit, AuditEvent};
use store::{CloseReason, RenewError};

use crate::dispatcher::{Dispatcher, Session, code_of};

impl Dispatcher {
    /// Lets the connection go on with another token of the same user. Both that and why not are written into the audit
    /// trail.
    pub(crate) async fn authenticate(&self, session: &Session<'_>, token: &str) -> Result<String, ErrorCode> {
        match self.renew(session, token).await {
            Ok((principal, dropped)) => {
                let source_ip = session.source_ip;
                let audit = Audit { principal: Some(&principal), source_ip, ..Audit::default() };
                audit::record(AuditEvent::Authenticate, &audit);
                Ok(authenticated(principal.expires_at, &dropped, session.now))
            }
            Err(refusal) => {
                // Who is there is known, whatever the token says.
                let refusal = refusal.of(&session.connection.principal);
                refusal.record_as(AuditEvent::Deny, None, session.source_ip);
                Err(refusal.code)
            }
        }
    }

    async fn renew(&self, session: &Session<'_>, token: &str) -> Result<(Principal, Vec<ChannelId>), Refusal> {
        let principal = self.verifier.verify(token, session.now).await?;
        let before = &session.connection.principal;
        if (&principal.tenant, &principal.user) != (&before.tenant, &before.user) {
            return Err(Refusal::because(ErrorCode::Forbidden, "the token is another user's"));
        }
        if !auth::allows(&principal, Action::Connect) {
            return Err(ErrorCode::Forbidden.into());
        }
        // Asked first, so that a table that does not answer changes nothing.
        if self.revocations.is_revoked(&principal).await? {
            self.end(session, CloseReason::Revoked).await;
            return Err(ErrorCode::Revoked.into());
        }
        let is_closed = |channel: &&ChannelId| !auth::allows(&principal, Action::Read(channel));
        let dropped: Vec<ChannelId> = session.connection.channels.keys().filter(is_closed).cloned().collect();
        let renewed = self.connections.renew(&session.connection.id, &principal, &dropped, session.now).await;
        renewed.map_err(|error| match error {
            RenewError::Gone => Refusal::from(ErrorCode::Unauthorized),
            RenewError::Closing(ending) => code_of(ending).into(),
            RenewError::Store(error) => error.into(),
        })?;
        // And again once it is stored: a revocation in between is seen here, or has seen the new token.
        match self.revocations.is_revoked(&principal).await {
            Ok(false) => Ok((principal, dropped)),
            Ok(true) => {
                self.end(session, CloseReason::Revoked).await;
                Err(ErrorCode::Revoked.into())
            }
            Err(error) => {
                // Nobody knows whether it may stay. It may come again, with a token that can be looked at then.
                self.end(session, CloseReason::TokenExpired).await;
                Err(error.into())
            }
        }
    }
}
