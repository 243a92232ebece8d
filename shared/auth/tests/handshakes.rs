//! Real handshakes, from `events/`: what each of them opens.
#![expect(clippy::unwrap_used, reason = "clippy knows tests only by their attribute")]

use auth::{AuthError, Principal, SUBPROTOCOL, Verifier, handshake};
use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use projections::Timestamp;

/// What the local system signs tokens with.
const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

/// Whom the handshake's token speaks for, if it has one, and the subprotocol to answer with.
fn open(event: &str) -> (Option<Result<Principal, AuthError>>, Option<&'static str>) {
    let event: ApiGatewayWebsocketProxyRequest = serde_json::from_str(event).unwrap();
    let verifier = Verifier::hs256(LOCAL_SECRET, None).unwrap();
    let now = Timestamp::from_millis(event.request_context.request_time_epoch);
    let found = handshake(&event.multi_value_headers, event.query_string_parameters.first("token"));
    (found.token.map(|token| verifier.verify(token, now)), found.subprotocol)
}

#[test]
fn a_token_opens_the_socket_wherever_it_is() {
    for (event, expected) in [
        (include_str!("../../../events/ws-connect-token-in-header.json"), None),
        (include_str!("../../../events/ws-connect-token-in-cookie.json"), None),
        (include_str!("../../../events/ws-connect-token-in-subprotocol.json"), Some(SUBPROTOCOL)),
        (include_str!("../../../events/ws-connect-token-in-query.json"), None),
    ] {
        let (principal, subprotocol) = open(event);
        let principal = principal.unwrap().unwrap();
        assert_eq!((principal.tenant.as_str(), principal.user.as_str()), ("acme", "ann"));
        assert_eq!(subprotocol, expected);
    }
}

#[test]
fn without_a_token_or_its_permission_the_socket_stays_closed() {
    assert_eq!(open(include_str!("../../../events/ws-connect-no-token.json")).0, None);
    let (refused, _) = open(include_str!("../../../events/ws-connect-no-permission.json"));
    assert_eq!(refused, Some(Err(AuthError::Forbidden)));
}
