//! Real messages, from `events/`: how each of them is read.
#![expect(clippy::unwrap_used, reason = "clippy knows tests only by their attribute")]

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use protocol::{ClientMessage, ErrorCode, MAX_MESSAGE_BYTES, Named, Rejection};

/// The route that the gateway chose by the action, and what the message says.
fn read(event: &str) -> (String, Result<ClientMessage, Rejection>) {
    let event: ApiGatewayWebsocketProxyRequest = serde_json::from_str(event).unwrap();
    (event.request_context.route_key.unwrap(), ClientMessage::parse(&event.body.unwrap(), MAX_MESSAGE_BYTES))
}

#[test]
fn messages_say_what_their_route_says() {
    let campaign = || Named::One("campaign:c-17".parse().unwrap());
    let subscribe = |named| ClientMessage::Subscribe { named, batch: false };
    for (event, expected) in [
        (include_str!("../../../events/ws-message-subscribe.json"), subscribe(campaign())),
        (include_str!("../../../events/ws-message-unsubscribe.json"), ClientMessage::Unsubscribe(campaign())),
        (include_str!("../../../events/ws-message-ping.json"), ClientMessage::Ping),
        (
            include_str!("../../../events/ws-message-subscribe-channel.json"),
            subscribe(Named::One("event:evt_1".parse().unwrap())),
        ),
    ] {
        let route = expected.action().to_owned();
        assert_eq!(read(event), (route, Ok(expected)));
    }
}

#[test]
fn authenticate_carries_a_token() {
    let (route, message) = read(include_str!("../../../events/ws-message-authenticate.json"));
    let Ok(ClientMessage::Authenticate(token)) = message else { panic!("no token: {message:?}") };
    assert_eq!((route.as_str(), token.split('.').count()), ("authenticate", 3));
}

#[test]
fn other_messages_are_rejected_with_a_code() {
    for (event, route, rejection) in [
        (
            include_str!("../../../events/ws-message-subscribe-unknown-channel.json"),
            "subscribe",
            Rejection::of("subscribe", ErrorCode::UnknownChannel),
        ),
        (
            include_str!("../../../events/ws-message-unknown-action.json"),
            "$default",
            Rejection::new(ErrorCode::UnknownAction),
        ),
        (
            include_str!("../../../events/ws-message-not-json.json"),
            "$default",
            Rejection::new(ErrorCode::InvalidMessage),
        ),
    ] {
        assert_eq!(read(event), (route.to_owned(), Err(rejection)));
    }
}
