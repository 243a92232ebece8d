//! What clients send.

use std::{fmt, ops::Deref};

use projections::{ChannelId, Id};
use serde::Deserialize;
use serde_json::Value;

use crate::{ErrorCode, Rejection};

/// The largest message that is read where nothing else is configured. A subscription takes a tenth of a kilobyte.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// To watch a channel, and to see it now.
    Subscribe(ChannelId),
    /// To watch it no more.
    Unsubscribe(ChannelId),
    /// To know that we are there.
    Ping,
    /// To stay beyond the end of the token that it came with.
    Authenticate(Token),
}

/// A token as it came. It is never shown, whoever prints the message.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Deref for Token {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A message whose fields may be anything. One that names a field twice is refused: whoever else reads it (the gateway
/// chooses the route by `action`) may have seen the other.
#[derive(Deserialize)]
struct Loose {
    action: Option<Value>,
    #[serde(rename = "campaignId")]
    campaign_id: Option<Value>,
    channel: Option<Value>,
    token: Option<Value>,
}

impl ClientMessage {
    /// Reads the body of a message of at most `max_bytes`. The rejection says what to tell the client.
    pub fn parse(body: &str, max_bytes: usize) -> Result<Self, Rejection> {
        if body.len() > max_bytes {
            return Err(Rejection::new(ErrorCode::MessageTooLarge));
        }
        // Serde would take an array for the fields in their order.
        let is_object = body.trim_start().starts_with('{');
        let message: Loose = is_object
            .then(|| serde_json::from_str(body).ok())
            .flatten()
            .ok_or(Rejection::new(ErrorCode::InvalidMessage))?;
        let (action, build): (_, fn(ChannelId) -> Self) = match message.action.as_ref().and_then(Value::as_str) {
            Some(action @ "subscribe") => (action, Self::Subscribe),
            Some(action @ "unsubscribe") => (action, Self::Unsubscribe),
            Some("ping") => return Ok(Self::Ping),
            Some("authenticate") => {
                let token = message.token.as_ref().and_then(Value::as_str);
                let invalid = Rejection::of("authenticate", ErrorCode::InvalidMessage);
                return token.map(|token| Self::Authenticate(Token(token.to_owned()))).ok_or(invalid);
            }
            _ => return Err(Rejection::new(ErrorCode::UnknownAction)),
        };
        message.channel().map(build).map_err(|code| Rejection::of(action, code))
    }

    /// The action as clients write it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Subscribe(_) => "subscribe",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::Ping => "ping",
            Self::Authenticate(_) => "authenticate",
        }
    }
}

impl Loose {
    /// The channel, given as such or as a campaign; where both are given they have to agree.
    fn channel(&self) -> Result<ChannelId, ErrorCode> {
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(ErrorCode::InvalidMessage);
        let channel = self.channel.as_ref().map(text).transpose()?;
        let campaign = self.campaign_id.as_ref().map(text).transpose()?;
        let channel = channel.map(|name| name.parse().map_err(|_| ErrorCode::UnknownChannel)).transpose()?;
        let campaign = campaign
            .map(|id| Id::parse(&id).map(ChannelId::campaign).map_err(|_| ErrorCode::UnknownChannel))
            .transpose()?;
        match (channel, campaign) {
            (Some(channel), Some(campaign)) if channel != campaign => Err(ErrorCode::InvalidMessage),
            (Some(channel), _) | (None, Some(channel)) => Ok(channel),
            (None, None) => Err(ErrorCode::InvalidMessage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<ClientMessage, Rejection> {
        ClientMessage::parse(body, MAX_MESSAGE_BYTES)
    }

    fn campaign(id: &str) -> ChannelId {
        ChannelId::campaign(Id::parse(id).unwrap())
    }

    #[test]
    fn a_campaign_can_be_named_in_two_ways() {
        for body in [
            r#"{"action":"subscribe","campaignId":"c-17"}"#,
            r#"{"action":"subscribe","channel":"campaign:c-17"}"#,
            r#"{"action":"subscribe","channel":"campaign:c-17","campaignId":"c-17"}"#,
            " \n{\"campaignId\":\"c-17\",\"requestId\":7,\"channel\":null,\"action\":\"subscribe\"}\n",
        ] {
            assert_eq!(parse(body), Ok(ClientMessage::Subscribe(campaign("c-17"))), "{body}");
        }
    }

    #[test]
    fn every_action_and_kind_of_channel_is_read() {
        let cases = [
            (r#"{"action":"subscribe","channel":"system"}"#, ClientMessage::Subscribe(ChannelId::system())),
            (r#"{"action":"unsubscribe","channel":"campaigns"}"#, ClientMessage::Unsubscribe(ChannelId::campaigns())),
            (r#"{"action":"subscribe","channel":"event:evt_1"}"#, {
                ClientMessage::Subscribe("event:evt_1".parse().unwrap())
            }),
            (r#"{"action":"ping"}"#, ClientMessage::Ping),
            (r#"{"action":"authenticate","token":"a.b.c"}"#, ClientMessage::Authenticate(Token("a.b.c".into()))),
        ];
        for (body, expected) in cases {
            let message = parse(body).unwrap();
            assert!(body.contains(&format!("\"action\":\"{}\"", message.action())));
            assert_eq!(message, expected, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_rejected_with_a_code() {
        use ErrorCode::{InvalidMessage, UnknownAction, UnknownChannel};
        let deep = "[".repeat(8000);
        let cases = [
            ("", InvalidMessage, None),
            ("hello", InvalidMessage, None),
            ("null", InvalidMessage, None),
            (r#""ping""#, InvalidMessage, None),
            (r#"["ping",null,null]"#, InvalidMessage, None),
            (r#"{"action":"ping"} {}"#, InvalidMessage, None),
            (r#"{"action":"ping""#, InvalidMessage, None),
            (r#"{"action":"ping","action":"subscribe"}"#, InvalidMessage, None),
            (&deep, InvalidMessage, None),
            ("{}", UnknownAction, None),
            (r#"{"action":null}"#, UnknownAction, None),
            (r#"{"action":7}"#, UnknownAction, None),
            (r#"{"action":"Subscribe","campaignId":"c-17"}"#, UnknownAction, None),
            (r#"{"action":"<script>"}"#, UnknownAction, None),
            (r#"{"action":"subscribe"}"#, InvalidMessage, Some("subscribe")),
            (r#"{"action":"subscribe","campaignId":17}"#, InvalidMessage, Some("subscribe")),
            (r#"{"action":"unsubscribe","channel":["system"]}"#, InvalidMessage, Some("unsubscribe")),
            (r#"{"action":"subscribe","channel":"system","campaignId":"c-17"}"#, InvalidMessage, Some("subscribe")),
            (r#"{"action":"subscribe","campaignId":"a#b"}"#, UnknownChannel, Some("subscribe")),
            (r#"{"action":"authenticate"}"#, InvalidMessage, Some("authenticate")),
            (r#"{"action":"authenticate","token":7}"#, InvalidMessage, Some("authenticate")),
            (r#"{"action":"authenticate","token":"a","token":"b"}"#, InvalidMessage, None),
            (r#"{"action":"subscribe","campaignId":""}"#, UnknownChannel, Some("subscribe")),
            (r#"{"action":"unsubscribe","channel":"weather"}"#, UnknownChannel, Some("unsubscribe")),
        ];
        for (body, code, action) in cases {
            let expected = Rejection { code, action: action.map(str::to_owned) };
            assert_eq!(parse(body), Err(expected), "{body:.80}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let message = parse(r#"{"action":"authenticate","token":"secret"}"#).unwrap();
        assert_eq!(format!("{message:?}"), "Authenticate(Token(…))");
    }

    #[test]
    fn a_message_is_read_up_to_the_limit_and_not_beyond() {
        let padded = |length: usize| format!("{:<length$}", r#"{"action":"ping"}"#);
        assert_eq!(parse(&padded(MAX_MESSAGE_BYTES)), Ok(ClientMessage::Ping));
        let error = parse(&padded(MAX_MESSAGE_BYTES + 1)).unwrap_err();
        assert_eq!(error, Rejection::new(ErrorCode::MessageTooLarge));
    }
}
