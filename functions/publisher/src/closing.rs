//! The end of a connection whose token has expired or whose access was ended: it is told why, closed and forgotten.

use auth::Principal;
use gateway::{Post, PostError};
use projections::Timestamp;
use protocol::{ErrorCode, Rejection};
use runtime::audit::{self, Audit, AuditEvent};
use store::{CloseReason, Connections};
use tracing::{debug, warn};

use crate::subscriber::HANDSHAKE;

/// A connection that is being closed.
pub(crate) struct Closing {
    /// Which one.
    pub(crate) connection: String,
    /// Whose.
    pub(crate) principal: Principal,
    /// Where it came from.
    pub(crate) source_ip: Option<String>,
    /// When it was opened.
    pub(crate) connected_at: Timestamp,
    /// How far it has come.
    pub(crate) stage: Stage,
}

/// How far a connection's end has come. What is done is not done again at the next attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stage {
    /// What it ends for; nothing before the table has said that it does.
    pub(crate) ending: Option<CloseReason>,
    is_told: bool,
    is_closed: bool,
}

/// What an attempt to close a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is closed and forgotten.
    Over,
    /// It does not end: its token was renewed just now. Or it is gone.
    Spared,
    /// Something did not work, and is to be tried again.
    Unfinished,
}

impl Closing {
    /// Does what is left to be done, up to the first thing that fails.
    pub(crate) async fn attempt<G: Post>(&mut self, gateway: &G, connections: &Connections, now: Timestamp) -> Outcome {
        let ending = match self.stage.ending {
            Some(ending) => ending,
            // The table decides: from the mark on no renewal is taken, and before it one may have come.
            None => match connections.expire(&self.connection, now).await {
                Ok(Some(ending)) => *self.stage.ending.insert(ending),
                Ok(None) => return Outcome::Spared,
                Err(error) => {
                    warn!(%error, "an expired connection could not be marked; it is tried again");
                    return Outcome::Unfinished;
                }
            },
        };
        if !self.stage.is_told {
            // A courtesy: who does not read it is closed all the same.
            let message = protocol::error_message(&Rejection::new(code(ending)), now);
            self.stage.is_told = gateway.post(&self.connection, message.into()).await.is_ok();
        }
        if !self.stage.is_closed {
            match gateway.close(&self.connection).await {
                Ok(()) | Err(PostError::NoConnection) => {}
                // Within the handshake 410 means that the connection is yet to come.
                Err(PostError::Gone) if now.since(self.connected_at) > HANDSHAKE => {}
                Err(error) => {
                    debug!(connection = self.connection, %error, "a connection is not closed yet");
                    return Outcome::Unfinished;
                }
            }
            self.stage.is_closed = true;
            // Here and not at the end: API Gateway's `$disconnect` may forget the connection before we do.
            audit::record(AuditEvent::Expire, &self.audit());
        }
        match connections.disconnect(&self.connection).await {
            Ok(()) => Outcome::Over,
            Err(error) => {
                warn!(%error, "a connection that was closed could not be deleted; it is tried again");
                Outcome::Unfinished
            }
        }
    }

    /// What the audit trail says of it.
    pub(crate) fn audit(&self) -> Audit<'_> {
        Audit {
            principal: Some(&self.principal),
            channel: None,
            reason: self.stage.ending.map(|ending| code(ending).as_str()),
            source_ip: self.source_ip.as_deref(),
            target: None,
        }
    }
}

/// What the client is told.
const fn code(ending: CloseReason) -> ErrorCode {
    match ending {
        CloseReason::TokenExpired => ErrorCode::TokenExpired,
        CloseReason::Revoked => ErrorCode::Revoked,
        CloseReason::RateLimited => ErrorCode::RateLimited,
        CloseReason::Replaced => ErrorCode::Replaced,
    }
}

#[cfg(test)]
mod tests {
    use projections::TenantId;

    use super::*;

    #[test]
    fn the_trail_says_who_was_closed_why_and_where_they_were() {
        let principal = Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: "ada".to_owned(),
            permissions: Vec::new(),
            channels: None,
            issued_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH,
        };
        for (ending, reason) in [
            (CloseReason::TokenExpired, "token_expired"),
            (CloseReason::Revoked, "revoked"),
            (CloseReason::RateLimited, "rate_limited"),
            (CloseReason::Replaced, "replaced"),
        ] {
            let closing = Closing {
                connection: "socket".to_owned(),
                principal: principal.clone(),
                source_ip: Some("203.0.113.7".to_owned()),
                connected_at: Timestamp::EPOCH,
                stage: Stage { ending: Some(ending), ..Stage::default() },
            };
            let audit = closing.audit();
            assert_eq!((audit.reason, audit.source_ip), (Some(reason), Some("203.0.113.7")));
            assert_eq!(audit.principal, Some(&principal));
        }
    }
}
