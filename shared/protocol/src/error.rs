//! What a client is told when something is wrong.

use std::fmt;

/// What is wrong, for programs. A code is never renamed and never means something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "message() says it")]
pub enum ErrorCode {
    InvalidMessage,
    UnknownAction,
    UnknownChannel,
    MessageTooLarge,
    InvalidRequest,
    Unauthorized,
    TokenExpired,
    Revoked,
    Replaced,
    Forbidden,
    OriginNotAllowed,
    OriginMissing,
    NotFound,
    MethodNotAllowed,
    TooManyConnections,
    TooManySubscriptions,
    RateLimited,
    Unavailable,
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 19] = [
        Self::InvalidMessage,
        Self::UnknownAction,
        Self::UnknownChannel,
        Self::MessageTooLarge,
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::TokenExpired,
        Self::Revoked,
        Self::Replaced,
        Self::Forbidden,
        Self::OriginNotAllowed,
        Self::OriginMissing,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooManyConnections,
        Self::TooManySubscriptions,
        Self::RateLimited,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code, its text and its HTTP status: one line per code.
    const fn describe(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::InvalidMessage => (
                "invalid_message",
                "Send one JSON object with an action and what it needs: a campaignId or a channel, for authenticate a token.",
                400,
            ),
            Self::UnknownAction => {
                ("unknown_action", "The action is one of subscribe, unsubscribe, ping and authenticate.", 400)
            }
            Self::UnknownChannel => (
                "unknown_channel",
                "There is no such channel. Names are like campaign:c-17, campaigns or system; an id is 1 to 128 of A-Z a-z 0-9 . _ : -",
                404,
            ),
            Self::MessageTooLarge => (
                "message_too_large",
                "The message is too large: 8 KiB are allowed where nothing else is configured.",
                413,
            ),
            Self::InvalidRequest => {
                ("invalid_request", "The body or the query is not what is documented for this path.", 400)
            }
            Self::Unauthorized => ("unauthorized", "A valid token is needed.", 401),
            Self::TokenExpired => ("token_expired", "The token has expired. Connect again with a new one.", 401),
            Self::Revoked => ("revoked", "Access was revoked. Only a token issued since then is accepted.", 401),
            Self::Replaced => (
                "replaced",
                "The user has opened more connections than are allowed, and this one was the least active. Connect again where it is needed.",
                409,
            ),
            Self::Forbidden => ("forbidden", "The token does not permit this.", 403),
            Self::OriginNotAllowed => (
                "origin_not_allowed",
                "Pages of this origin may not connect. The deployment lists those that may.",
                403,
            ),
            Self::OriginMissing => (
                "origin_missing",
                "A token in a cookie counts only beside the header Origin. Send that, or the token in the header Authorization.",
                403,
            ),
            Self::NotFound => ("not_found", "There is nothing here.", 404),
            Self::MethodNotAllowed => {
                ("method_not_allowed", "This method is not allowed here; the header Allow names those that are.", 405)
            }
            Self::TooManyConnections => {
                ("too_many_connections", "The user or the tenant has too many connections. Close one first.", 429)
            }
            Self::TooManySubscriptions => {
                ("too_many_subscriptions", "The connection watches too many channels. Unsubscribe from one first.", 429)
            }
            Self::RateLimited => {
                ("rate_limited", "Too many messages or requests in this minute. Wait for the next one.", 429)
            }
            Self::Unavailable => ("unavailable", "The service cannot answer at the moment. Try again later.", 503),
            Self::Internal => ("internal", "Something went wrong on our side.", 500),
        }
    }

    /// The code as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.describe().0
    }

    /// What to do about it, for people. Holds nothing of what was sent, and nothing of ours.
    #[must_use]
    pub const fn message(self) -> &'static str {
        self.describe().1
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        self.describe().2
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a client's message was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}")]
pub struct Rejection {
    /// What is wrong.
    pub code: ErrorCode,
    /// What the client wanted; only an action that we know is ever repeated to it.
    pub action: Option<String>,
    /// Which of the channels that it named in a list was not followed, as the client wrote it.
    pub channel: Option<String>,
}

impl Rejection {
    /// A rejection of a message whose action, if it had one, does not matter.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self { code, action: None, channel: None }
    }

    /// A rejection of this action of ours.
    #[must_use]
    pub fn of(action: &str, code: ErrorCode) -> Self {
        Self { code, action: Some(action.to_owned()), channel: None }
    }

    /// The same of one channel of a list.
    #[must_use]
    pub fn for_channel(self, channel: &(impl ToString + ?Sized)) -> Self {
        Self { channel: Some(channel.to_string()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_are_what_they_always_were() {
        let all: Vec<_> = ErrorCode::ALL.into_iter().map(|code| (code.as_str(), code.http_status())).collect();
        let expected = [
            ("invalid_message", 400),
            ("unknown_action", 400),
            ("unknown_channel", 404),
            ("message_too_large", 413),
            ("invalid_request", 400),
            ("unauthorized", 401),
            ("token_expired", 401),
            ("revoked", 401),
            ("replaced", 409),
            ("forbidden", 403),
            ("origin_not_allowed", 403),
            ("origin_missing", 403),
            ("not_found", 404),
            ("method_not_allowed", 405),
            ("too_many_connections", 429),
            ("too_many_subscriptions", 429),
            ("rate_limited", 429),
            ("unavailable", 503),
            ("internal", 500),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn every_code_is_documented_with_its_status() {
        let document = include_str!("../../../docs/protocol.md");
        for code in ErrorCode::ALL {
            let row = format!("| `{code}` | {} |", code.http_status());
            assert!(document.contains(&row), "docs/protocol.md lacks {row}");
        }
    }

    #[test]
    fn the_text_about_a_message_that_is_too_large_names_the_limit() {
        let limit = format!("{} KiB", crate::MAX_MESSAGE_BYTES / 1024);
        assert!(ErrorCode::MessageTooLarge.message().contains(&limit));
    }
}
