//! Real handshakes, from `events/`: what each of them opens.
#![expect(clippy::unwrap_used, reason = "clippy knows tests only by their attribute")]

use auth::{
    Action, AuthError, Credential, KeySet, Origins, Principal, SUBPROTOCOL, Source, Verifier, allows, handshake,
};
use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use futures_util::FutureExt;
use projections::Timestamp;

/// What the local system signs tokens with.
const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

/// Where a token was found, and whom it speaks for.
type Found = (Source, Result<Principal, AuthError>);

/// The handshake's token, if it has one; and the subprotocol to answer with.
fn open(event: &str) -> (Option<Found>, Option<&'static str>) {
    let event: ApiGatewayWebsocketProxyRequest = serde_json::from_str(event).unwrap();
    let verifier = Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET]).unwrap(), None);
    let now = Timestamp::from_millis(event.request_context.request_time_epoch);
    let query: Vec<(&str, &str)> = event.multi_value_query_string_parameters.iter().collect();
    let presented = handshake(&event.multi_value_headers, &query).unwrap();
    assert_eq!(Origins::parse("https://dashboard.example.com").unwrap().check(&presented), Ok(()));
    let opened = presented.credential.map(|(source, credential)| match credential {
        Credential::Token(token) => (source, verifier.verify(token, now).now_or_never().unwrap()),
        Credential::Ticket(_) => unreachable!("the events have tokens"),
    });
    (opened, presented.subprotocol)
}

#[test]
fn a_token_opens_the_socket_wherever_it_is() {
    for (event, source, expected) in [
        (include_str!("../../../events/ws-connect-token-in-header.json"), Source::Header, None),
        (include_str!("../../../events/ws-connect-token-in-cookie.json"), Source::Cookie, None),
        (include_str!("../../../events/ws-connect-token-in-subprotocol.json"), Source::Subprotocol, Some(SUBPROTOCOL)),
        (include_str!("../../../events/ws-connect-token-in-query.json"), Source::Query, None),
    ] {
        let (opened, subprotocol) = open(event);
        let (found, principal) = opened.unwrap();
        let principal = principal.unwrap();
        assert_eq!((principal.tenant.as_str(), principal.user.as_str()), ("acme", "ann"));
        assert!(allows(&principal, Action::Connect));
        assert_eq!((found, subprotocol), (source, expected));
    }
}

#[test]
fn without_a_token_or_its_permission_the_socket_stays_closed() {
    assert_eq!(open(include_str!("../../../events/ws-connect-no-token.json")).0, None);
    let (opened, _) = open(include_str!("../../../events/ws-connect-no-permission.json"));
    assert!(!allows(&opened.unwrap().1.unwrap(), Action::Connect));
}
