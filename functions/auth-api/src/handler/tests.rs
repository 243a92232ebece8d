use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use auth::{KeySet, Origins, Verifier};
use projections::TenantId;
use runtime::PublisherWaker;
use serde_json::{Value, json};
use store::{CloseReason, Connection, Connections, Limits, TICKET_LIFETIME, Tickets};
use testing::{TestTable, client};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

/// The local system's, which the tokens in `events/` are signed with.
const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

const TICKET: &str = include_str!("../../../../events/rest-auth-ticket.json");
const REVOKE_USER: &str = include_str!("../../../../events/rest-auth-revoke-user.json");
const REVOKE_EVERYONE: &str = include_str!("../../../../events/rest-auth-revoke-everyone.json");
const NO_PERMISSION: &str = include_str!("../../../../events/rest-auth-revoke-no-permission.json");
const BOTH: &str = include_str!("../../../../events/rest-auth-revoke-both.json");
const UNKNOWN_FIELD: &str = include_str!("../../../../events/rest-auth-revoke-unknown-field.json");
const NOT_JSON: &str = include_str!("../../../../events/rest-auth-revoke-not-json.json");

/// 32 bytes of 7, in base64url: the ticket in `events/ws-connect-ticket.json`.
const MINTED: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

fn now() -> Timestamp {
    "2026-01-15T10:30:00Z".parse().unwrap()
}

fn principal(tenant: &str, user: &str) -> Principal {
    Principal {
        tenant: TenantId::parse(tenant).unwrap(),
        user: user.into(),
        permissions: vec![auth::READ_LIVE.into()],
        channels: None,
        issued_at: now(),
        expires_at: now().plus(Duration::from_hours(1)),
    }
}

/// An API over tables of its own, with two shards, and what it asks of Lambda.
async fn api(table: &TestTable) -> (Api, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
        .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
        .region(aws_sdk_lambda::config::Region::new("eu-central-1"))
        .credentials_provider(aws_sdk_lambda::config::Credentials::for_tests());
    let (asked, asks) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                asked.send(String::from_utf8_lossy(&request[..read]).into_owned()).unwrap();
                let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            });
        }
    });
    let lambda = aws_sdk_lambda::Client::from_conf(config.build());
    let api = Api {
        admission: RestAdmission {
            verifier: Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET]).unwrap(), None),
            origins: Origins::parse("https://dashboard.example.com").unwrap(),
            revocations: table.revocations(),
            requests: table.requests(),
            requests_per_minute: 600,
        },
        mint: Mint { tickets: table.tickets(), random: || Some([7; 32]) },
        registry: Registry {
            revocations: table.revocations(),
            connections: table.connections(2),
            waker: PublisherWaker::new(table.leases(), lambda, "publisher".into()),
        },
    };
    (api, asks)
}

async fn connect(api: &Api, id: &str, principal: Principal) {
    let connection = Connection {
        id: id.into(),
        principal,
        channels: BTreeMap::new(),
        is_default: true,
        batch: false,
        connected_at: now(),
        source_ip: None,
        ending: None,
    };
    let limits = Limits { per_user: 9, per_tenant: 99 };
    api.registry.connections.connect(&connection, limits, now()).await.unwrap();
}

async fn ending(api: &Api, id: &str) -> Option<CloseReason> {
    api.registry.connections.get(id).await.unwrap().unwrap().ending
}

async fn answer_at(api: &Api, event: &str, now: Timestamp) -> (Response<()>, Value) {
    let (parts, body) = api.handle(lambda_http::request::from_str(event).unwrap(), now).await.into_parts();
    for (name, value) in rest::HEADERS {
        assert_eq!(parts.headers[name], value);
    }
    (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap())
}

async fn answer(api: &Api, event: &str) -> Value {
    let (response, body) = answer_at(api, event, now()).await;
    assert_eq!((response.status(), &body["success"]), (StatusCode::OK, &json!(true)), "{body}");
    body["data"].clone()
}

async fn refused(api: &Api, event: &str) -> (u16, Value) {
    let (response, body) = answer_at(api, event, now()).await;
    assert_eq!(body["success"], false, "{body}");
    (response.status().as_u16(), body["error"]["code"].clone())
}

#[tokio::test]
async fn a_ticket_is_what_its_principal_can_be_redeemed_with_once() {
    let table = TestTable::create().await;
    let (api, _asks) = api(&table).await;
    let issued = answer(&api, TICKET).await;
    assert_eq!(issued, json!({ "ticket": MINTED, "expiresAt": now().plus(TICKET_LIFETIME) }));
    let redeemed = table.tickets().redeem(&admission::digest(MINTED), now()).await.unwrap().unwrap();
    assert_eq!((redeemed.tenant.as_str(), redeemed.user.as_str()), ("acme", "ann"));
    assert_eq!(redeemed.permissions, [auth::READ_LIVE]);
    assert_eq!(table.tickets().redeem(&admission::digest(MINTED), now()).await.unwrap(), None);
}

#[tokio::test]
async fn the_table_does_not_know_the_ticket_itself() {
    let table = TestTable::create().await;
    let (api, _asks) = api(&table).await;
    answer(&api, TICKET).await;
    let key = format!("ticket#{}", admission::digest(MINTED));
    let item = table.item(&key, "#ticket").await.unwrap();
    assert!(!format!("{item:?}").contains(MINTED));
}

#[tokio::test]
async fn without_random_bytes_or_a_table_there_is_no_ticket() {
    let table = TestTable::create().await;
    let (mut api, _asks) = api(&table).await;
    api.mint.random = || None;
    assert_eq!(refused(&api, TICKET).await, (503, json!("unavailable")));
    api.mint = Mint { tickets: Tickets::new(client("http://127.0.0.1:1"), "t".into()), random: || Some([7; 32]) };
    assert_eq!(refused(&api, TICKET).await, (503, json!("unavailable")));
}

#[tokio::test]
async fn revoking_a_user_refuses_their_tokens_and_ends_their_connections() {
    let table = TestTable::create().await;
    let (api, mut asks) = api(&table).await;
    connect(&api, "a1=", principal("acme", "ann")).await;
    connect(&api, "a2=", principal("acme", "ann")).await;
    connect(&api, "b=", principal("acme", "ben")).await;
    connect(&api, "g=", principal("globex", "ann")).await;
    let revoked = answer(&api, REVOKE_USER).await;
    assert_eq!(revoked, json!({ "revokedBefore": now(), "connections": 2 }));
    for (id, expected) in
        [("a1=", Some(CloseReason::Revoked)), ("a2=", Some(CloseReason::Revoked)), ("b=", None), ("g=", None)]
    {
        assert_eq!(ending(&api, id).await, expected, "{id}");
    }
    assert_eq!(refused(&api, TICKET).await, (401, json!("revoked")));
    // Nobody was at work on the shards of the two.
    let shards: std::collections::BTreeSet<u32> =
        ["a1=", "a2="].into_iter().map(|id| api.registry.connections.shard_of(id)).collect();
    for _ in shards {
        assert!(asks.recv().await.unwrap().contains("/functions/publisher/invocations"));
    }
    assert!(asks.try_recv().is_err());
}

#[tokio::test]
async fn a_connection_with_a_token_that_is_newer_than_the_revocation_stays() {
    let table = TestTable::create().await;
    let (api, _asks) = api(&table).await;
    connect(&api, "old=", principal("acme", "ann")).await;
    let issued_at = now().plus(Duration::from_secs(1));
    connect(&api, "new=", Principal { issued_at, ..principal("acme", "ann") }).await;
    assert_eq!(answer(&api, REVOKE_USER).await["connections"], 1);
    assert_eq!((ending(&api, "old=").await, ending(&api, "new=").await), (Some(CloseReason::Revoked), None));
}

#[tokio::test]
async fn revoking_everyone_ends_the_whole_tenant_and_no_other() {
    let table = TestTable::create().await;
    let (api, _asks) = api(&table).await;
    for n in 0..30 {
        connect(&api, &format!("c{n}="), principal("acme", &format!("user-{n}"))).await;
    }
    connect(&api, "g=", principal("globex", "ann")).await;
    assert_eq!(answer(&api, REVOKE_EVERYONE).await, json!({ "revokedBefore": now(), "connections": 30 }));
    assert_eq!(ending(&api, "c29=").await, Some(CloseReason::Revoked));
    assert_eq!(ending(&api, "g=").await, None);
    // Whoever revokes everyone is one of them.
    assert_eq!(refused(&api, REVOKE_EVERYONE).await, (401, json!("revoked")));
}

#[tokio::test]
async fn a_user_without_connections_is_revoked_all_the_same() {
    let table = TestTable::create().await;
    let (api, _asks) = api(&table).await;
    assert_eq!(answer(&api, REVOKE_USER).await["connections"], 0);
    assert!(api.admission.revocations.is_revoked(&principal("acme", "ann")).await.unwrap());
}

#[tokio::test]
async fn revoking_needs_its_permission_and_a_ticket_that_to_connect() {
    let table = TestTable::create().await;
    let (api, _asks) = api(&table).await;
    connect(&api, "b=", principal("acme", "ben")).await;
    assert_eq!(refused(&api, NO_PERMISSION).await, (403, json!("forbidden")));
    assert_eq!(ending(&api, "b=").await, None);
    assert!(!api.admission.revocations.is_revoked(&principal("acme", "ben")).await.unwrap());
    let handshake = include_str!("../../../../events/ws-connect-no-permission.json");
    let handshake: Value = serde_json::from_str(handshake).unwrap();
    let mut event: Value = serde_json::from_str(TICKET).unwrap();
    let token = handshake["queryStringParameters"]["token"].as_str().unwrap();
    event["headers"]["authorization"] = json!(format!("Bearer {token}"));
    assert_eq!(refused(&api, &event.to_string()).await, (403, json!("forbidden")));
}

#[tokio::test]
async fn a_body_that_is_not_what_is_documented_revokes_nobody() {
    let table = TestTable::create().await;
    let (api, _asks) = api(&table).await;
    let long = REVOKE_USER.replace(r#"{\"user\":\"ann\"}"#, &format!(r#"{{\"user\":\"ann\"}}{}"#, " ".repeat(1024)));
    let mut none: Value = serde_json::from_str(REVOKE_USER).unwrap();
    none.as_object_mut().unwrap().remove("body");
    for event in [BOTH, UNKNOWN_FIELD, NOT_JSON, &long, &none.to_string()] {
        assert_eq!(refused(&api, event).await, (400, json!("invalid_request")));
    }
    assert!(!api.admission.revocations.is_revoked(&principal("acme", "ann")).await.unwrap());
}

#[tokio::test]
async fn a_body_that_api_gateway_has_encoded_is_read() {
    let table = TestTable::create().await;
    let (api, _asks) = api(&table).await;
    let mut event: Value = serde_json::from_str(REVOKE_USER).unwrap();
    event["body"] = json!("eyJ1c2VyIjoiYW5uIn0=");
    event["isBase64Encoded"] = json!(true);
    answer(&api, &event.to_string()).await;
    assert!(api.admission.revocations.is_revoked(&principal("acme", "ann")).await.unwrap());
}

#[tokio::test]
async fn who_is_not_admitted_gets_and_changes_nothing() {
    let table = TestTable::create().await;
    let (mut api, _asks) = api(&table).await;
    for event in [TICKET, REVOKE_USER] {
        let foreign = event.replace("https://dashboard.example.com", "https://elsewhere.example.net");
        assert_eq!(refused(&api, &foreign).await, (403, json!("origin_not_allowed")));
        let nobody = event.replace("\"authorization\"", "\"x-authorization\"");
        let (response, body) = answer_at(&api, &nobody, now()).await;
        assert_eq!((response.status().as_u16(), &body["error"]["code"]), (401, &json!("unauthorized")));
        assert_eq!(response.headers()[lambda_http::http::header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(refused(&api, &event.replace(r#""POST""#, r#""GET""#)).await, (405, json!("method_not_allowed")));
        assert_eq!(refused(&api, &event.replace("/auth/", "/oauth/")).await, (404, json!("not_found")));
    }
    api.admission.requests_per_minute = 0;
    let (response, _) = answer_at(&api, TICKET, now().plus(Duration::from_secs(45))).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[lambda_http::http::header::RETRY_AFTER]),
        (429, &"15".parse().unwrap())
    );
    assert!(!api.admission.revocations.is_revoked(&principal("acme", "ann")).await.unwrap());
}

#[tokio::test]
async fn a_revocation_that_cannot_be_carried_out_is_an_error_and_stays_written_down() {
    let table = TestTable::create().await;
    let (mut api, _asks) = api(&table).await;
    api.registry.connections =
        Connections::new(client("http://127.0.0.1:1"), table.name.clone(), NonZeroU32::new(2).unwrap(), now);
    assert_eq!(refused(&api, REVOKE_USER).await, (503, json!("unavailable")));
    assert!(api.admission.revocations.is_revoked(&principal("acme", "ann")).await.unwrap());
    api.registry.connections = Connections::new(table.client.clone(), "no-such-table".into(), NonZeroU32::MIN, now);
    let (response, body) = answer_at(&api, REVOKE_EVERYONE, now()).await;
    assert_eq!((response.status().as_u16(), &body["error"]["code"]), (500, &json!("internal")));
    assert!(!body.to_string().contains("no-such-table"));
}
