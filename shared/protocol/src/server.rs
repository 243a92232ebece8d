//! What clients receive on the socket. One JSON message per frame, but for those that asked for several ([`crate::batch`]).

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
    channels: Option<&'a [ChannelId]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<D>,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a Cursor>,
}

impl<D> Message<'_, D> {
    /// A message that has nothing but its type.
    fn bare(message_type: &'static str, now: Timestamp) -> Self {
        Self { r#type: message_type, channel: None, channels: None, data: None, timestamp: now, cursor: None }
    }
}

/// What is wrong, as sockets and REST both write it.
#[derive(Serialize)]
pub(crate) struct Problem<'a> {
    code: &'static str,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
}

/// What of a list was not followed.
#[derive(Serialize)]
struct Problems<'a> {
    errors: Vec<Problem<'a>>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(code: ErrorCode) -> Self {
        Self { code: code.as_str(), message: code.message(), action: None, channel: None }
    }

    fn of(rejection: &'a Rejection) -> Self {
        let (action, channel) = (rejection.action.as_deref(), rejection.channel.as_deref());
        Self { action, channel, ..Self::new(rejection.code) }
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
        channels: None,
        data: Some(data),
        timestamp: now,
        cursor: Some(cursor),
    })
}

/// The answer to a message that was not followed, or to one channel of a list.
#[must_use]
pub fn error_message(rejection: &Rejection, now: Timestamp) -> String {
    json(&Message { data: Some(Problem::of(rejection)), ..Message::bare("error", now) })
}

/// The answer to a ping.
#[must_use]
pub fn pong(now: Timestamp) -> String {
    json(&Message::<()>::bare("pong", now))
}

/// The answer to a subscription whose views come one by one.
#[must_use]
pub fn subscribed(channel: &ChannelId, now: Timestamp) -> String {
    json(&Message::<()> { channel: Some(channel), ..Message::bare("subscribed", now) })
}

/// The answer to a subscription to a list whose views follow; `refused` are those that were not followed.
#[must_use]
pub fn subscribed_to_all(channels: &[ChannelId], refused: &[Rejection], now: Timestamp) -> String {
    listed("subscribed", channels, refused, now)
}

/// The answer to an unsubscribe.
#[must_use]
pub fn unsubscribed(channel: &ChannelId, now: Timestamp) -> String {
    json(&Message::<()> { channel: Some(channel), ..Message::bare("unsubscribed", now) })
}

/// The answer to an unsubscribe from a list.
#[must_use]
pub fn unsubscribed_from_all(channels: &[ChannelId], refused: &[Rejection], now: Timestamp) -> String {
    listed("unsubscribed", channels, refused, now)
}

fn listed(message_type: &'static str, channels: &[ChannelId], refused: &[Rejection], now: Timestamp) -> String {
    let errors: Vec<Problem<'_>> = refused.iter().map(Problem::of).collect();
    let data = (!errors.is_empty()).then_some(Problems { errors });
    json(&Message { channels: Some(channels), data, ..Message::bare(message_type, now) })
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
    json(&Message { data: Some(Renewed { expires_at, unsubscribed }), ..Message::bare("authenticated", now) })
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
    fn an_error_of_a_list_names_its_channel() {
        let rejection = Rejection::of("subscribe", ErrorCode::Forbidden).for_channel(&ChannelId::system());
        let expected = r#"{"type":"error","data":{"code":"forbidden","message":"The token does not permit this.","action":"subscribe","channel":"system"},"timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(error_message(&rejection, now()), expected);
    }

    #[test]
    fn a_list_is_answered_with_what_was_followed_and_what_was_not() {
        let channels = [ChannelId::campaigns(), ChannelId::system()];
        let expected =
            r#"{"type":"subscribed","channels":["campaigns","system"],"timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(subscribed_to_all(&channels, &[], now()), expected);
        let refused = [Rejection::of("unsubscribe", ErrorCode::Forbidden).for_channel("x")];
        let expected = r#"{"type":"unsubscribed","channels":[],"data":{"errors":[{"code":"forbidden","message":"The token does not permit this.","action":"unsubscribe","channel":"x"}]},"timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(unsubscribed_from_all(&[], &refused, now()), expected);
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
