//! Who is let in over REST, against a real table.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use admission::RestAdmission;
use auth::{KeySet, Origins, Verifier};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use projections::{TenantId, Timestamp};
use protocol::ErrorCode;
use serde_json::Value;
use store::{Requests, Revocations};
use testing::TestTable;

/// The local system's, which the tokens in `events/` are signed with.
const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

/// Ann's token, which may watch but not revoke, from a page that is allowed.
const TICKET: &str = include_str!("../../../events/rest-auth-ticket.json");

fn now() -> Timestamp {
    "2026-01-15T10:30:00Z".parse().unwrap()
}

fn admission(table: &TestTable) -> RestAdmission {
    RestAdmission {
        verifier: Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET]).unwrap(), None),
        origins: Origins::parse("https://dashboard.example.com").unwrap(),
        revocations: table.revocations(),
        requests: table.requests(),
        requests_per_minute: 3,
    }
}

/// The headers of the request.
fn headers() -> HeaderMap {
    let event: Value = serde_json::from_str(TICKET).unwrap();
    let lines = event["headers"].as_object().unwrap().iter();
    lines
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse::<HeaderValue>().unwrap())
        })
        .collect()
}

/// The same with the token in a cookie.
fn cookie() -> HeaderMap {
    let mut headers = headers();
    let line = headers.remove(header::AUTHORIZATION).unwrap();
    let token = line.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    headers.insert(header::COOKIE, format!("theme=dark; token={token}").parse().unwrap());
    headers
}

async fn refused(admission: &RestAdmission, headers: &HeaderMap) -> ErrorCode {
    admission.admit(headers, Some("192.0.2.17"), now()).await.unwrap_err()
}

#[tokio::test]
async fn a_token_in_a_header_or_a_cookie_tells_who_asks() {
    let table = TestTable::create().await;
    let admission = admission(&table);
    for headers in [headers(), cookie()] {
        let principal = admission.admit(&headers, None, now()).await.unwrap();
        assert_eq!((principal.tenant.as_str(), principal.user.as_str()), ("acme", "ann"));
    }
}

#[tokio::test]
async fn a_page_must_be_ours_and_a_cookie_needs_one() {
    let table = TestTable::create().await;
    let admission = admission(&table);
    for (mut headers, may_be_without) in [(headers(), true), (cookie(), false)] {
        for foreign in ["https://elsewhere.example.net", "https://dashboard.example.com:8443", "null"] {
            headers.insert(header::ORIGIN, HeaderValue::from_static(foreign));
            assert_eq!(refused(&admission, &headers).await, ErrorCode::OriginNotAllowed, "{foreign}");
        }
        headers.remove(header::ORIGIN);
        assert_eq!(admission.admit(&headers, None, now()).await.is_ok(), may_be_without);
    }
}

#[tokio::test]
async fn without_exactly_one_valid_token_nobody_knows_who_asks() {
    let table = TestTable::create().await;
    let admission = admission(&table);
    let mut none = headers();
    none.remove(header::AUTHORIZATION);
    let mut twice = headers();
    twice.append(header::AUTHORIZATION, twice[header::AUTHORIZATION].clone());
    let mut forged = headers();
    forged.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer e30.e30.e30"));
    for headers in [none, twice, forged] {
        assert_eq!(refused(&admission, &headers).await, ErrorCode::Unauthorized);
    }
    let late = "2100-01-02T00:00:00Z".parse().unwrap();
    assert_eq!(admission.admit(&headers(), None, late).await, Err(ErrorCode::Unauthorized));
}

#[tokio::test]
async fn a_revoked_token_is_told_so_and_another_users_goes_on() {
    let table = TestTable::create().await;
    let admission = admission(&table);
    let acme = TenantId::parse("acme").unwrap();
    admission.revocations.revoke(&acme, Some("ben"), now()).await.unwrap();
    admission.revocations.revoke(&TenantId::parse("globex").unwrap(), None, now()).await.unwrap();
    assert!(admission.admit(&headers(), None, now()).await.is_ok());
    admission.revocations.revoke(&acme, Some("ann"), now()).await.unwrap();
    assert_eq!(refused(&admission, &headers()).await, ErrorCode::Revoked);
}

#[tokio::test]
async fn a_user_asks_only_so_often_in_a_minute() {
    let table = TestTable::create().await;
    let admission = admission(&table);
    for _ in 0..admission.requests_per_minute {
        assert!(admission.admit(&headers(), None, now()).await.is_ok());
    }
    assert_eq!(refused(&admission, &headers()).await, ErrorCode::RateLimited);
    let next = "2026-01-15T10:31:00Z".parse().unwrap();
    assert!(admission.admit(&headers(), None, next).await.is_ok());
}

#[tokio::test]
async fn while_a_table_does_not_answer_nobody_is_let_in() {
    let table = TestTable::create().await;
    let unreachable = testing::client("http://127.0.0.1:1");
    let revocations = Revocations::new(unreachable.clone(), table.name.clone());
    let requests = Requests::new(unreachable, table.name.clone());
    assert_eq!(refused(&RestAdmission { revocations, ..admission(&table) }, &headers()).await, ErrorCode::Unavailable);
    assert_eq!(refused(&RestAdmission { requests, ..admission(&table) }, &headers()).await, ErrorCode::Unavailable);
}
