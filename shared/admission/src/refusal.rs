//! Why somebody is not let in.

use std::fmt::Display;

use auth::{AuthError, AuthRequestError, Principal};
use projections::ChannelId;
use protocol::ErrorCode;
use runtime::audit::{self, Audit, AuditEvent};
use store::StoreError;

/// Why somebody is not let in: a code for the client, and for the audit trail what is known beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the client is told.
    pub code: ErrorCode,
    /// The code, and what is wrong in fixed words of ours; nothing that was sent.
    reason: String,
    /// Who it is, where that is known.
    principal: Option<Box<Principal>>,
}

impl Refusal {
    /// A refusal whose reason the code alone does not tell. `why` must hold nothing that was sent.
    #[must_use]
    pub fn because(code: ErrorCode, why: impl Display) -> Self {
        Self { code, reason: format!("{code}: {why}"), principal: None }
    }

    /// The refusal of somebody who is known.
    #[must_use]
    pub fn of(self, principal: &Principal) -> Self {
        Self { principal: Some(Box::new(principal.clone())), ..self }
    }

    /// Writes it into the audit trail, as what its code says that it is.
    pub fn record(&self, channel: Option<&ChannelId>, source_ip: Option<&str>) {
        self.record_as(self.event(), channel, source_ip);
    }

    /// What its code says that it is.
    fn event(&self) -> AuditEvent {
        match self.code {
            ErrorCode::Forbidden => AuditEvent::Deny,
            ErrorCode::RateLimited | ErrorCode::TooManyConnections | ErrorCode::TooManySubscriptions => {
                AuditEvent::Limit
            }
            ErrorCode::Unavailable | ErrorCode::Internal => AuditEvent::Fail,
            _ => AuditEvent::Refuse,
        }
    }

    /// Writes it into the audit trail as this, unless it is our own failure.
    pub fn record_as(&self, event: AuditEvent, channel: Option<&ChannelId>, source_ip: Option<&str>) {
        let event = if self.event() == AuditEvent::Fail { AuditEvent::Fail } else { event };
        let principal = self.principal.as_deref();
        audit::record(event, &Audit { principal, channel, reason: Some(&self.reason), source_ip, target: None });
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, reason: code.to_string(), principal: None }
    }
}

impl From<AuthRequestError> for Refusal {
    fn from(refused: AuthRequestError) -> Self {
        match refused {
            // No code of its own: whoever sends two of a kind knows it.
            AuthRequestError::Ambiguous => Self::because(ErrorCode::Unauthorized, refused),
            AuthRequestError::Origin => ErrorCode::OriginNotAllowed.into(),
            AuthRequestError::OriginMissing => ErrorCode::OriginMissing.into(),
        }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthorized(why) => Self::because(ErrorCode::Unauthorized, why),
            AuthError::Unavailable => Self::because(ErrorCode::Unavailable, error),
        }
    }
}

/// Nobody is let in while a table does not answer.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        failed(&error).into()
    }
}

/// What a client is told when a table fails; the log gets the rest.
#[must_use]
pub fn failed(error: &StoreError) -> ErrorCode {
    tracing::error!(%error, "a table fails");
    match error {
        StoreError::Unavailable(_) => ErrorCode::Unavailable,
        StoreError::Refused(_) | StoreError::Corrupt { .. } | StoreError::TooLarge { .. } => ErrorCode::Internal,
    }
}

/// Writes down that somebody asked for what they may not have; what the client is told.
#[must_use]
pub fn deny(principal: &Principal, channel: Option<&ChannelId>, source_ip: Option<&str>) -> ErrorCode {
    let refusal = Refusal::from(ErrorCode::Forbidden).of(principal);
    refusal.record(channel, source_ip);
    refusal.code
}

#[cfg(test)]
mod tests {
    use auth::Unauthorized;

    use super::*;

    #[test]
    fn the_reason_begins_with_the_code_and_says_what_is_wrong_in_our_words() {
        let cases: [(Refusal, ErrorCode, &str); 7] = [
            (ErrorCode::Revoked.into(), ErrorCode::Revoked, "revoked"),
            (AuthRequestError::Origin.into(), ErrorCode::OriginNotAllowed, "origin_not_allowed"),
            (AuthRequestError::OriginMissing.into(), ErrorCode::OriginMissing, "origin_missing"),
            (
                AuthRequestError::Ambiguous.into(),
                ErrorCode::Unauthorized,
                "unauthorized: two credentials or origins in the same place",
            ),
            (
                AuthError::Unauthorized(Unauthorized::Expired).into(),
                ErrorCode::Unauthorized,
                "unauthorized: the token has expired",
            ),
            (
                AuthError::Unavailable.into(),
                ErrorCode::Unavailable,
                "unavailable: there are no keys to verify tokens with",
            ),
            (StoreError::Unavailable("no connection".into()).into(), ErrorCode::Unavailable, "unavailable"),
        ];
        for (refusal, code, reason) in cases {
            assert_eq!((refusal.code, refusal.reason.as_str()), (code, reason));
        }
    }

    #[test]
    fn what_is_our_own_failure_is_not_taken_for_an_attack() {
        for (code, event) in [
            (ErrorCode::Unauthorized, AuditEvent::Refuse),
            (ErrorCode::Revoked, AuditEvent::Refuse),
            (ErrorCode::Forbidden, AuditEvent::Deny),
            (ErrorCode::RateLimited, AuditEvent::Limit),
            (ErrorCode::Unavailable, AuditEvent::Fail),
            (ErrorCode::Internal, AuditEvent::Fail),
        ] {
            assert_eq!(Refusal::from(code).event(), event, "{code}");
        }
    }

    #[test]
    fn a_table_that_refuses_or_holds_nonsense_is_our_mistake() {
        assert_eq!(failed(&StoreError::Refused("AccessDeniedException".into())), ErrorCode::Internal);
        assert_eq!(failed(&StoreError::TooLarge { bytes: 2, limit: 1 }), ErrorCode::Internal);
    }
}
