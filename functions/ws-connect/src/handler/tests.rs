use std::{num::NonZeroU32, time::Duration};

use auth::{KeySet, Origins, Principal, Verifier};
use projections::TenantId;
use runtime::PublisherWaker;
use serde_json::{Value, json};
use store::{CloseReason, Connections, Limits, Revocations, TICKET_LIFETIME, Tickets};
use testing::{TestTable, client};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::*;
use crate::handshake::LimitPolicy;

/// The local system's, which the tokens in `events/` are signed with.
const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

const IN_HEADER: &str = include_str!("../../../../events/ws-connect-token-in-header.json");
const IN_COOKIE: &str = include_str!("../../../../events/ws-connect-token-in-cookie.json");
const IN_SUBPROTOCOL: &str = include_str!("../../../../events/ws-connect-token-in-subprotocol.json");
const IN_QUERY: &str = include_str!("../../../../events/ws-connect-token-in-query.json");
const TICKET: &str = include_str!("../../../../events/ws-connect-ticket.json");
const NO_TOKEN: &str = include_str!("../../../../events/ws-connect-no-token.json");
const NO_PERMISSION: &str = include_str!("../../../../events/ws-connect-no-permission.json");
const DUPLICATED_TOKEN: &str = include_str!("../../../../events/ws-connect-duplicated-token.json");
const FOREIGN_ORIGIN: &str = include_str!("../../../../events/ws-connect-foreign-origin.json");
const COOKIE_WITHOUT_ORIGIN: &str = include_str!("../../../../events/ws-connect-token-in-cookie-without-origin.json");

/// The connection that all of them are to become.
const ID: &str = "W1Ab2cdEFiAC0hQ=";

fn now() -> Timestamp {
    "2026-01-15T10:30:00Z".parse().unwrap()
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// Admission over tables of its own, and what it asks of Lambda.
async fn handshakes(table: &TestTable) -> (HandshakeAdmission, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
        .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
        .region(aws_sdk_lambda::config::Region::new("eu-central-1"))
        .credentials_provider(aws_sdk_lambda::config::Credentials::for_tests());
    let (asked, asks) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            asked.send(String::from_utf8_lossy(&request[..read]).lines().next().unwrap().to_owned()).unwrap();
            stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let lambda = aws_sdk_lambda::Client::from_conf(config.build());
    let handshakes = HandshakeAdmission {
        verifier: Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET]).unwrap(), None),
        origins: Origins::parse("https://dashboard.example.com").unwrap(),
        tickets: table.tickets(),
        connections: table.connections(1),
        revocations: table.revocations(),
        requests: table.requests(),
        requests_per_minute: 60,
        limits: Limits { per_user: 2, per_tenant: 9 },
        policy: LimitPolicy::Refuse,
        waker: PublisherWaker::new(table.leases(), lambda, "publisher".into()),
    };
    (handshakes, asks)
}

async fn open_at(handshakes: &HandshakeAdmission, text: &str, now: Timestamp) -> ApiGatewayProxyResponse {
    handle(handshakes, serde_json::from_str(text).unwrap(), now).await
}

async fn open(handshakes: &HandshakeAdmission, text: &str) -> ApiGatewayProxyResponse {
    open_at(handshakes, text, now()).await
}

fn code(response: &ApiGatewayProxyResponse) -> (i64, Value) {
    let Some(Body::Text(body)) = &response.body else { panic!("no body: {response:?}") };
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["success"], false);
    assert_eq!(response.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(response.headers[header::CACHE_CONTROL], "no-store");
    (response.status_code, body["error"]["code"].clone())
}

async fn refused(handshakes: &HandshakeAdmission, text: &str) -> (i64, Value) {
    let refused = code(&open(handshakes, text).await);
    assert!(handshakes.connections.connections(0).await.unwrap().is_empty(), "who is refused leaves no trace");
    refused
}

/// Issues the ticket of `events/` to ann.
async fn issue(handshakes: &HandshakeAdmission, permissions: &[&str]) -> Principal {
    let event: Value = serde_json::from_str(TICKET).unwrap();
    let ticket = event["queryStringParameters"]["ticket"].as_str().unwrap();
    let principal = Principal {
        tenant: acme(),
        user: "ann".into(),
        permissions: permissions.iter().map(|permission| (*permission).to_owned()).collect(),
        channels: None,
        issued_at: now(),
        expires_at: now().plus(Duration::from_hours(1)),
    };
    handshakes.tickets.issue(&admission::digest(ticket), &principal, now()).await.unwrap();
    principal
}

#[tokio::test]
async fn a_new_connection_watches_campaigns_and_system_and_wakes_the_publisher() {
    let table = TestTable::create().await;
    let (handshakes, mut asks) = handshakes(&table).await;
    let response = open(&handshakes, IN_QUERY).await;
    assert_eq!((response.status_code, response.body), (200, None));

    let connection = handshakes.connections.get(ID).await.unwrap().unwrap();
    let watched: Vec<String> = connection.channels.keys().map(ToString::to_string).collect();
    assert_eq!((watched, connection.is_default), (vec!["system".to_owned(), "campaigns".to_owned()], true));
    assert_eq!((connection.principal.tenant, connection.principal.user.as_str()), (acme(), "ann"));
    assert_eq!((connection.source_ip.as_deref(), connection.ending), (Some("192.0.2.17"), None));
    assert_eq!(connection.principal.expires_at.to_string(), "2100-01-01T00:00:05.000Z");
    assert_eq!(table.entered(0).await, [ID], "the publisher learns of it");
    assert!(asks.recv().await.unwrap().contains("/functions/publisher/invocations"));
}

#[tokio::test]
async fn who_offers_the_subprotocol_for_batches_gets_it_chosen_and_batches_from_the_start() {
    for (offered, chosen) in [("livefold.v1", "livefold.v1"), ("livefold.v1, livefold.batch", "livefold.batch")] {
        let table = TestTable::create().await;
        let (handshakes, _asks) = handshakes(&table).await;
        let response = open(&handshakes, &IN_SUBPROTOCOL.replace("livefold.v1", offered)).await;
        assert_eq!(response.status_code, 200);
        assert_eq!(response.headers[header::SEC_WEBSOCKET_PROTOCOL], chosen);
        let connection = handshakes.connections.get(ID).await.unwrap().unwrap();
        assert_eq!((connection.batch, connection.is_default), (chosen == "livefold.batch", true));
    }
}

#[tokio::test]
async fn a_publisher_that_is_at_work_is_not_woken() {
    let table = TestTable::create().await;
    let (handshakes, mut asks) = handshakes(&table).await;
    table.leases().acquire(0, "publisher", now(), Duration::from_secs(10)).await.unwrap();
    assert_eq!(open(&handshakes, IN_QUERY).await.status_code, 200);
    assert!(asks.try_recv().is_err());
}

#[tokio::test]
async fn a_token_in_any_of_its_places_lets_in_and_our_subprotocol_is_answered() {
    let table = TestTable::create().await;
    let (handshakes, _asks) = handshakes(&table).await;
    for (text, chosen) in [(IN_HEADER, None), (IN_COOKIE, None), (IN_SUBPROTOCOL, Some("livefold.v1"))] {
        let response = open(&handshakes, text).await;
        assert_eq!(response.status_code, 200);
        let answered = response.headers.get(header::SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap());
        assert_eq!(answered, chosen);
        handshakes.connections.disconnect(ID).await.unwrap();
    }
}

#[tokio::test]
async fn a_ticket_lets_in_once_whom_it_was_issued_to() {
    let table = TestTable::create().await;
    let (handshakes, _asks) = handshakes(&table).await;
    assert_eq!(refused(&handshakes, TICKET).await, (401, json!("unauthorized")), "never issued");
    let principal = issue(&handshakes, &[auth::READ_LIVE]).await;
    assert_eq!(open(&handshakes, TICKET).await.status_code, 200);
    assert_eq!(handshakes.connections.get(ID).await.unwrap().unwrap().principal, principal);
    handshakes.connections.disconnect(ID).await.unwrap();
    assert_eq!(refused(&handshakes, TICKET).await, (401, json!("unauthorized")), "used");
}

#[tokio::test]
async fn a_ticket_is_worth_nothing_after_half_a_minute_or_on_another_page() {
    let table = TestTable::create().await;
    let (handshakes, _asks) = handshakes(&table).await;
    issue(&handshakes, &[auth::READ_LIVE]).await;
    let elsewhere = TICKET.replace("https://dashboard.example.com", "https://elsewhere.example.net");
    assert_eq!(refused(&handshakes, &elsewhere).await, (403, json!("origin_not_allowed")));
    assert_eq!(code(&open_at(&handshakes, TICKET, now().plus(TICKET_LIFETIME)).await), (401, json!("unauthorized")));
    assert_eq!(open(&handshakes, TICKET).await.status_code, 200, "neither has used it up");
}

#[tokio::test]
async fn a_connection_watches_at_first_only_what_its_token_opens() {
    let table = TestTable::create().await;
    let (handshakes, _asks) = handshakes(&table).await;
    for (permissions, expected) in [
        (["dashboard:read:live:campaign"], &["campaigns"][..]),
        (["dashboard:read:live:system"], &["system"]),
        (["dashboard:read:live:event"], &[]),
    ] {
        issue(&handshakes, &permissions).await;
        assert_eq!(open(&handshakes, TICKET).await.status_code, 200);
        let connection = handshakes.connections.get(ID).await.unwrap().unwrap();
        assert_eq!(connection.channels.keys().map(ToString::to_string).collect::<Vec<_>>(), expected);
        handshakes.connections.disconnect(ID).await.unwrap();
    }
}

#[tokio::test]
async fn who_may_not_come_in_is_told_why_with_a_code_and_leaves_no_trace() {
    let table = TestTable::create().await;
    let (handshakes, _asks) = handshakes(&table).await;
    let forged = IN_QUERY.replace(".MGDom0mUXG9m5", ".MGDom0mUXG9m6");
    let two_tickets = DUPLICATED_TOKEN.replace(r#""token""#, r#""ticket""#);
    for (text, status, expected) in [
        (NO_TOKEN, 401, "unauthorized"),
        (&forged, 401, "unauthorized"),
        (DUPLICATED_TOKEN, 401, "unauthorized"),
        (&two_tickets, 401, "unauthorized"),
        (NO_PERMISSION, 403, "forbidden"),
        (FOREIGN_ORIGIN, 403, "origin_not_allowed"),
        (COOKIE_WITHOUT_ORIGIN, 403, "origin_missing"),
    ] {
        assert_eq!(refused(&handshakes, text).await, (status, json!(expected)), "{text}");
    }
    let expired = open_at(&handshakes, IN_QUERY, "2100-01-02T00:00:00Z".parse().unwrap()).await;
    assert_eq!(code(&expired), (401, json!("unauthorized")));
}

#[tokio::test]
async fn a_revoked_token_or_a_ticket_of_one_does_not_come_in_and_keeps_no_place() {
    let table = TestTable::create().await;
    let (handshakes, _asks) = handshakes(&table).await;
    issue(&handshakes, &[auth::READ_LIVE]).await;
    handshakes.revocations.revoke(&acme(), Some("ann"), now()).await.unwrap();
    for text in [IN_QUERY, TICKET, IN_HEADER] {
        assert_eq!(refused(&handshakes, text).await, (401, json!("revoked")));
    }
    assert!(handshakes.connections.of_user(&acme(), "ann").await.unwrap().is_empty());
    assert!(table.entered(0).await.is_empty(), "it took no place, and the publisher has nothing to read");
}

#[tokio::test]
async fn who_knocks_too_often_is_told_to_wait() {
    let table = TestTable::create().await;
    let (mut handshakes, _asks) = handshakes(&table).await;
    handshakes.requests_per_minute = 2;
    for id in ["a=", "b="] {
        assert_eq!(open(&handshakes, &IN_QUERY.replace(ID, id)).await.status_code, 200);
    }
    let response = open(&handshakes, &IN_QUERY.replace(ID, "c=")).await;
    assert_eq!(code(&response), (429, json!("rate_limited")));
    assert!(handshakes.connections.get("c=").await.unwrap().is_none());
}

#[tokio::test]
async fn a_user_and_a_tenant_have_only_so_many_connections() {
    let table = TestTable::create().await;
    let (mut handshakes, _asks) = handshakes(&table).await;
    for limits in [Limits { per_user: 2, per_tenant: 9 }, Limits { per_user: 9, per_tenant: 2 }] {
        handshakes.limits = limits;
        for (id, expected) in [("a=", 200), ("b=", 200), ("c=", 429)] {
            let response = open(&handshakes, &IN_QUERY.replace(ID, id)).await;
            assert_eq!(response.status_code, expected, "{limits:?}");
            if expected == 429 {
                assert_eq!(code(&response), (429, json!("too_many_connections")));
            }
        }
        for id in ["a=", "b="] {
            handshakes.connections.disconnect(id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn who_is_at_the_limit_is_let_in_and_the_publisher_closes_another_of_theirs() {
    let table = TestTable::create().await;
    let (mut handshakes, mut asks) = handshakes(&table).await;
    handshakes.policy = LimitPolicy::Replace;
    for (id, at) in [("a=", 0), ("b=", 1), ("c=", 2)] {
        let at = now().plus(Duration::from_secs(at));
        assert_eq!(open_at(&handshakes, &IN_QUERY.replace(ID, id), at).await.status_code, 200);
    }
    let ending = async |id| handshakes.connections.get(id).await.unwrap().unwrap().ending;
    assert_eq!((ending("a=").await, ending("b=").await), (Some(CloseReason::Replaced), None));
    // Once for each of the three, and once more for whom the third replaces.
    for _ in 0..4 {
        asks.recv().await.unwrap();
    }
}

#[tokio::test]
async fn while_a_table_does_not_answer_nobody_is_let_in() {
    let table = TestTable::create().await;
    let (mut handshakes, _asks) = handshakes(&table).await;
    let unreachable = client("http://127.0.0.1:1");
    let revocations = Revocations::new(unreachable.clone(), table.name.clone());
    let reachable = std::mem::replace(&mut handshakes.revocations, revocations);
    assert_eq!(refused(&handshakes, IN_QUERY).await, (503, json!("unavailable")), "revoked or not, nobody knows");
    handshakes.revocations = reachable;
    handshakes.tickets = Tickets::new(unreachable.clone(), table.name.clone());
    assert_eq!(refused(&handshakes, TICKET).await, (503, json!("unavailable")));
    handshakes.connections = Connections::new(unreachable, table.name.clone(), NonZeroU32::MIN, now);
    assert_eq!(code(&open(&handshakes, IN_QUERY).await), (503, json!("unavailable")));
}

#[tokio::test]
async fn what_goes_wrong_inside_stays_inside() {
    let table = TestTable::create().await;
    let (mut handshakes, _asks) = handshakes(&table).await;
    handshakes.connections = Connections::new(table.client.clone(), "no-such-table".into(), NonZeroU32::MIN, now);
    let response = open(&handshakes, IN_QUERY).await;
    assert_eq!(code(&response), (500, json!("internal")));
    assert!(!format!("{:?}", response.body).contains("no-such-table"));
    let nameless = IN_QUERY.replace("\"connectionId\"", "\"otherId\"");
    assert_eq!(code(&open(&handshakes, &nameless).await), (500, json!("internal")));
}
