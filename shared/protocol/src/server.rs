//! What clients receive on the socket. One JSON message per frame.

use projections::{ChannelId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Cursor, ErrorCode, Rejection};

/// Every message; what a type does not have is left out.
#[derive(Serialize)]
struct Message<'a, D> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a ChannelId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a Cursor>,
}

/// What is wrong, as sockets and REST both write it.
#[derive(Serialize)]
pub(crate) struct Problem<'a> {
    code: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(code: ErrorCode, action: Option<&'a str>) -> Self {
        Self { code: code.as_str(), message: code.message(), action }
    }
}

/// The message that carries a view or a notice of a channel.
#[must_use]
pub fn channel_message(
    message_type: &str,
    channel: &ChannelId,
    data: &RawValue,
    now: Timestamp,
    cursor: &Cursor,
) -> String {
    json(&Message {
        r#type: message_type,
        channel: Some(channel),
        data: Some(data),
        timestamp: now,
        cursor: Some(cursor),
    })
}

/// The answer to a message that was not followed.
#[must_use]
pub fn error_message(rejection: &Rejection, now: Timestamp) -> String {
    let data = Some(Problem::new(rejection.code, rejection.action.as_deref()));
    json(&Message { r#type: "error", channel: None, data, timestamp: now, cursor: None })
}

/// The answer to a ping.
#[must_use]
pub fn pong(now: Timestamp) -> String {
    json(&Message::<()> { r#type: "pong", channel: None, data: None, timestamp: now, cursor: None })
}

/// The answer to a subscription whose views come one by one.
#[must_use]
pub fn subscribed(channel: &ChannelId, now: Timestamp) -> String {
    json(&Message::<()> { r#type: "subscribed", channel: Some(channel), data: None, timestamp: now, cursor: None })
}

/// The answer to an unsubscribe.
#[must_use]
pub fn unsubscribed(channel: &ChannelId, now: Timestamp) -> String {
    json(&Message::<()> { r#type: "unsubscribed", channel: Some(channel), data: None, timestamp: now, cursor: None })
}

/// The answer to a token that takes the place of the one before: until when it holds, and the channels that it does not
/// open and that are watched no longer.
#[must_use]
pub fn authenticated(expires_at: Timestamp, unsubscribed: &[ChannelId], now: Timestamp) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Renewed<'a> {
        expires_at: Timestamp,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        unsubscribed: &'a [ChannelId],
    }
    let data = Some(Renewed { expires_at, unsubscribed });
    json(&Message { r#type: "authenticated", channel: None, data, timestamp: now, cursor: None })
}

/// Writes one of our own messages.
#[expect(clippy::expect_used, reason = "strings, raw JSON and no maps: there is nothing that could fail")]
pub(crate) fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("a message of strings is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-15T10:30:00.120Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    #[test]
    fn a_channel_message_carries_its_data_as_it_is() {
        let data = RawValue::from_string(r#"{"campaignId":"c-17", "answerRate":35.0}"#.into()).unwrap();
        let channel = "campaign:c-17".parse().unwrap();
        let message = channel_message("metrics_update", &channel, &data, now(), &Cursor::of([("1/t/0", 4)]));
        let expected = r#"{"type":"metrics_update","channel":"campaign:c-17","data":{"campaignId":"c-17", "answerRate":35.0},"timestamp":"2026-01-15T10:30:00.120Z","cursor":"5.MS90LzA9NA"}"#;
        assert_eq!(message, expected);
    }

    #[test]
    fn an_error_names_the_action_where_it_is_known() {
        let message = error_message(&Rejection::of("ping", ErrorCode::Unavailable), now());
        let expected = r#"{"type":"error","data":{"code":"unavailable","message":"The service cannot answer at the moment. Try again later.","action":"ping"},"timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(message, expected);
        let message = error_message(&Rejection::new(ErrorCode::UnknownAction), now());
        let expected = r#"{"type":"error","data":{"code":"unknown_action","message":"The action is one of subscribe, unsubscribe, ping and authenticate."},"timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(message, expected);
    }

    #[test]
    fn the_short_answers_are_short() {
        assert_eq!(pong(now()), r#"{"type":"pong","timestamp":"2026-01-15T10:30:00.120Z"}"#);
        let expected = r#"{"type":"subscribed","channel":"campaigns","timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(subscribed(&ChannelId::campaigns(), now()), expected);
        let expected = r#"{"type":"unsubscribed","channel":"system","timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(unsubscribed(&ChannelId::system(), now()), expected);
        let expected = r#"{"type":"authenticated","data":{"expiresAt":"2026-01-15T10:30:00.120Z"},"timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(authenticated(now(), &[], now()), expected);
        let expected = r#"{"type":"authenticated","data":{"expiresAt":"2026-01-15T10:30:00.120Z","unsubscribed":["system"]},"timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(authenticated(now(), &[ChannelId::system()], now()), expected);
    }
}
