//! What clients send.

use std::{fmt, ops::Deref};

use serde::Deserialize;
use serde_json::Value;

use crate::{ErrorCode, Named, Rejection};

/// The largest message that is read where nothing else is configured. A subscription takes a tenth of a kilobyte.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// To watch channels, and to see them now.
    Subscribe {
        /// Which.
        named: Named,
        /// Whether it takes several messages in one frame from now on.
        batch: bool,
    },
    /// To watch channels no more.
    Unsubscribe(Named),
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
    channels: Option<Value>,
    batch: Option<Value>,
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
        match message.action.as_ref().and_then(Value::as_str) {
            Some("subscribe") => message.subscribe().map_err(|code| Rejection::of("subscribe", code)),
            Some("unsubscribe") => {
                message.named().map(Self::Unsubscribe).map_err(|code| Rejection::of("unsubscribe", code))
            }
            Some("ping") => Ok(Self::Ping),
            Some("authenticate") => {
                let token = message.token.as_ref().and_then(Value::as_str);
                let invalid = Rejection::of("authenticate", ErrorCode::InvalidMessage);
                token.map(|token| Self::Authenticate(Token(token.to_owned()))).ok_or(invalid)
            }
            _ => Err(Rejection::new(ErrorCode::UnknownAction)),
        }
    }

    /// The action as clients write it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Subscribe { .. } => "subscribe",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::Ping => "ping",
            Self::Authenticate(_) => "authenticate",
        }
    }
}

impl Loose {
    fn subscribe(&self) -> Result<ClientMessage, ErrorCode> {
        let batch = match &self.batch {
            None => false,
            Some(batch) => batch.as_bool().ok_or(ErrorCode::InvalidMessage)?,
        };
        Ok(ClientMessage::Subscribe { named: self.named()?, batch })
    }

    fn named(&self) -> Result<Named, ErrorCode> {
        Named::read(self.channel.as_ref(), self.campaign_id.as_ref(), self.channels.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use projections::{ChannelId, Id};

    use super::*;
    use crate::ChannelList;

    fn parse(body: &str) -> Result<ClientMessage, Rejection> {
        ClientMessage::parse(body, MAX_MESSAGE_BYTES)
    }

    fn campaign(id: &str) -> ChannelId {
        ChannelId::campaign(Id::parse(id).unwrap())
    }

    fn subscribe(channel: ChannelId) -> ClientMessage {
        ClientMessage::Subscribe { named: Named::One(channel), batch: false }
    }

    #[test]
    fn a_campaign_can_be_named_in_two_ways() {
        for body in [
            r#"{"action":"subscribe","campaignId":"c-17"}"#,
            r#"{"action":"subscribe","channel":"campaign:c-17"}"#,
            r#"{"action":"subscribe","channel":"campaign:c-17","campaignId":"c-17"}"#,
            " \n{\"campaignId\":\"c-17\",\"requestId\":7,\"channel\":null,\"action\":\"subscribe\"}\n",
        ] {
            assert_eq!(parse(body), Ok(subscribe(campaign("c-17"))), "{body}");
        }
    }

    #[test]
    fn every_action_and_kind_of_channel_is_read() {
        let cases = [
            (r#"{"action":"subscribe","channel":"system"}"#, subscribe(ChannelId::system())),
            (r#"{"action":"unsubscribe","channel":"campaigns"}"#, {
                ClientMessage::Unsubscribe(Named::One(ChannelId::campaigns()))
            }),
            (r#"{"action":"subscribe","channel":"event:evt_1"}"#, subscribe("event:evt_1".parse().unwrap())),
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
    fn a_list_of_channels_is_read_and_so_is_the_wish_for_batches() {
        let list = |names: &[&str]| {
            let channels = names.iter().map(|name| name.parse().unwrap()).collect();
            Named::List(ChannelList { channels, unknown: Vec::new() })
        };
        let one = || Named::One(ChannelId::system());
        for (body, expected) in [
            (
                r#"{"action":"subscribe","channels":["campaign:b","campaign:a"],"channel":null,"batch":true}"#,
                ClientMessage::Subscribe { named: list(&["campaign:b", "campaign:a"]), batch: true },
            ),
            (
                r#"{"action":"subscribe","channel":"system","channels":null,"batch":true}"#,
                ClientMessage::Subscribe { named: one(), batch: true },
            ),
            (
                r#"{"action":"subscribe","channel":"system","batch":false}"#,
                ClientMessage::Subscribe { named: one(), batch: false },
            ),
            (r#"{"action":"subscribe","channel":"system","batch":null}"#, subscribe(ChannelId::system())),
            (
                r#"{"action":"unsubscribe","channels":["system"],"batch":7}"#,
                ClientMessage::Unsubscribe(list(&["system"])),
            ),
        ] {
            assert_eq!(parse(body), Ok(expected), "{body}");
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
            (r#"{"action":"subscribe","channels":[]}"#, InvalidMessage, Some("subscribe")),
            (r#"{"action":"subscribe","channels":"system"}"#, InvalidMessage, Some("subscribe")),
            (r#"{"action":"subscribe","channels":["system",7]}"#, InvalidMessage, Some("subscribe")),
            (r#"{"action":"subscribe","channels":["system"],"channel":"system"}"#, InvalidMessage, Some("subscribe")),
            (r#"{"action":"unsubscribe","channels":["system"],"campaignId":"c"}"#, InvalidMessage, Some("unsubscribe")),
            (r#"{"action":"subscribe","channels":["system"],"channels":["system"]}"#, InvalidMessage, None),
            (r#"{"action":"subscribe","channel":"system","batch":"yes"}"#, InvalidMessage, Some("subscribe")),
            (r#"{"action":"authenticate"}"#, InvalidMessage, Some("authenticate")),
            (r#"{"action":"authenticate","token":7}"#, InvalidMessage, Some("authenticate")),
            (r#"{"action":"authenticate","token":"a","token":"b"}"#, InvalidMessage, None),
            (r#"{"action":"subscribe","campaignId":""}"#, UnknownChannel, Some("subscribe")),
            (r#"{"action":"unsubscribe","channel":"weather"}"#, UnknownChannel, Some("unsubscribe")),
        ];
        for (body, code, action) in cases {
            let expected = Rejection { code, action: action.map(str::to_owned), channel: None };
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
