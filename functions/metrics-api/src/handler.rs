//! From a request to a channel's view.

use auth::{Action, AuthError, Principal, Verifier};
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use projections::Timestamp;
use protocol::{ErrorCode, rest};
use store::StoreError;
use views::{Reader, Rendered};

use crate::route;

/// What answers requests.
pub(crate) struct Api {
    pub(crate) verifier: Verifier,
    pub(crate) reader: Reader,
}

impl Api {
    /// Answers one request.
    pub(crate) async fn handle(&self, request: Request, now: Timestamp) -> Response<Body> {
        match self.view(&request, now).await {
            Ok(view) => show(&view, request.headers()),
            Err(code) => refuse(code),
        }
    }

    async fn view(&self, request: &Request, now: Timestamp) -> Result<Rendered, ErrorCode> {
        if request.method() != Method::GET {
            return Err(ErrorCode::MethodNotAllowed);
        }
        let channel = route::channel(request.raw_http_path());
        // What there is, is told to nobody who may not see it.
        let principal = self.principal(request.headers(), now)?;
        let channel = channel?;
        if !auth::allows(&principal, Action::Read, &channel) {
            return Err(ErrorCode::Forbidden);
        }
        let view = self.reader.view(&principal.tenant, &channel, now).await.map_err(|error| {
            tracing::error!(%error, tenant = %principal.tenant, %channel, "no view");
            match error {
                StoreError::Unavailable(_) => ErrorCode::Unavailable,
                _ => ErrorCode::Internal,
            }
        })?;
        if view.is_known { Ok(view) } else { Err(ErrorCode::NotFound) }
    }

    fn principal(&self, headers: &HeaderMap, now: Timestamp) -> Result<Principal, ErrorCode> {
        let token = auth::bearer(headers).ok_or(ErrorCode::Unauthorized)?;
        self.verifier.verify(token, now).map_err(|error| {
            tracing::info!(%error, "refused");
            match error {
                AuthError::Unauthorized(_) => ErrorCode::Unauthorized,
                AuthError::Forbidden => ErrorCode::Forbidden,
            }
        })
    }
}

fn show(view: &Rendered, asked: &HeaderMap) -> Response<Body> {
    let body = rest::success(&view.data);
    let etag = rest::etag(&view.cursor, &body);
    let has_it = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|listed| listed.to_str().ok())
        .any(|listed| rest::matches(listed, &etag));
    let mut response =
        if has_it { respond(StatusCode::NOT_MODIFIED, Body::Empty) } else { respond(StatusCode::OK, Body::Text(body)) };
    // A cursor is digits and base64url, which a header may hold.
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    // Only for whoever asked, and asked for again each time: most of the answers are then a 304.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn refuse(code: ErrorCode) -> Response<Body> {
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, Body::Text(rest::failure(code)));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match code {
        // RFC 9110 wants both.
        ErrorCode::Unauthorized => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        ErrorCode::MethodNotAllowed => headers.insert(header::ALLOW, HeaderValue::from_static("GET")),
        _ => None,
    };
    response
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
#[path = "../../../shared/store/tests/dynamodb/table.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests of the store, whose it is, use more of it")]
mod table;

#[cfg(test)]
mod tests {
    use projections::{Record, TenantId, topic};
    use serde_json::{Value, json};
    use store::{Committer, Entry, SliceId, SliceKey};

    use super::*;
    use crate::handler::table::TestTable;

    /// The local system's, which the tokens in `events/` are signed with.
    const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

    const CAMPAIGN: &str = include_str!("../../../events/rest-campaign-first-time.json");
    const NOT_MODIFIED: &str = include_str!("../../../events/rest-campaign-not-modified.json");
    const NO_TOKEN: &str = include_str!("../../../events/rest-campaign-no-token.json");
    const BAD_ID: &str = include_str!("../../../events/rest-campaign-bad-id.json");
    const CAMPAIGNS: &str = include_str!("../../../events/rest-campaigns.json");
    const CHANNEL: &str = include_str!("../../../events/rest-channel.json");
    const LIVE_EVENT: &str = include_str!("../../../events/rest-live-event.json");
    const SYSTEM: &str = include_str!("../../../events/rest-system.json");

    fn now() -> Timestamp {
        "2026-01-15T10:30:00Z".parse().unwrap()
    }

    fn api(table: &TestTable) -> Api {
        Api {
            verifier: Verifier::hs256(LOCAL_SECRET, None).unwrap(),
            reader: Reader::new(table.channels(None), table.leases(), 1),
        }
    }

    /// Counts one call of `c-17` for a tenant.
    async fn call(table: &TestTable, tenant: &str) {
        let tenant = TenantId::parse(tenant).unwrap();
        let record = Record {
            topic: "campaign.events.v1",
            timestamp: now(),
            default_tenant: Some(&tenant),
            value: br#"{"eventType":"call_initiated","campaignId":"c-17","callId":"k"}"#,
        };
        let routed = topic::decode(&record).unwrap();
        let slice = SliceId { epoch: 1, topic: record.topic.into(), partition: 0 };
        let key = SliceKey { tenant, channel: routed.channel, slice };
        let entry = Entry { offset: 7, at: routed.at, event: routed.event };
        let channels = table.channels(None);
        Committer::new(channels.clone()).commit(&key, &[entry], now()).await.unwrap();
        channels.describe(&key.tenant, &key.channel, None, now(), now()).await.unwrap();
    }

    async fn answer_at(api: &Api, event: &str, now: Timestamp) -> (Response<()>, Value) {
        let (parts, body) = api.handle(lambda_http::request::from_str(event).unwrap(), now).await.into_parts();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (Response::from_parts(parts, ()), body)
    }

    async fn answer(api: &Api, event: &str) -> (Response<()>, Value) {
        answer_at(api, event, now()).await
    }

    async fn refused(api: &Api, event: &str) -> (u16, Value) {
        let (response, body) = answer(api, event).await;
        assert_eq!(
            (&body["success"], &response.headers()[header::CACHE_CONTROL]),
            (&json!(false), &"no-store".parse().unwrap())
        );
        (response.status().as_u16(), body["error"]["code"].clone())
    }

    #[tokio::test]
    async fn every_path_shows_what_has_been_counted() {
        let table = TestTable::create().await;
        let api = api(&table);
        call(&table, "acme").await;
        for (event, pointer, expected) in [
            (CAMPAIGN, "/data/totalAttempts", json!(1)),
            (CHANNEL, "/data/campaignId", json!("c-17")),
            (CAMPAIGNS, "/data/0/totalAttempts", json!(1)),
            (SYSTEM, "/data/activeCampaigns", json!(1)),
        ] {
            let (response, body) = answer(&api, event).await;
            assert_eq!((response.status(), &body["success"]), (StatusCode::OK, &json!(true)), "{body}");
            assert_eq!(body.pointer(pointer), Some(&expected), "{body}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "private, no-cache");
        }
    }

    #[tokio::test]
    async fn a_view_that_the_client_has_is_not_sent_again_until_it_changes() {
        let table = TestTable::create().await;
        let api = api(&table);
        call(&table, "acme").await;
        let (first, _) = answer(&api, CAMPAIGN).await;
        let etag = first.headers()[header::ETAG].to_str().unwrap();
        let again = NOT_MODIFIED.replace(r#""if-none-match": "*""#, &format!(r#""if-none-match": {}"#, json!(etag)));
        let (response, body) = answer(&api, &again).await;
        assert_eq!((response.status(), body), (StatusCode::NOT_MODIFIED, Value::Null));
        assert_eq!(response.headers()[header::ETAG], etag);
        // The dialing rate decays while the cursor stands still.
        let later = now().plus(std::time::Duration::from_secs(11));
        assert_eq!(answer_at(&api, &again, later).await.0.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_cannot_be_shown_is_refused_with_a_code() {
        let table = TestTable::create().await;
        let api = api(&table);
        call(&table, "other").await;
        assert_eq!(refused(&api, CAMPAIGN).await, (404, json!("not_found")), "another tenant's");
        assert_eq!(refused(&api, LIVE_EVENT).await, (404, json!("not_found")));
        assert_eq!(refused(&api, BAD_ID).await, (404, json!("unknown_channel")));
        assert_eq!(refused(&api, &CAMPAIGN.replace("/analytics/", "/nowhere/")).await, (404, json!("not_found")));
        assert_eq!(refused(&api, &CAMPAIGN.replace(r#""GET""#, r#""POST""#)).await, (405, json!("method_not_allowed")));
        assert_eq!(refused(&api, NO_TOKEN).await, (401, json!("unauthorized")));
        assert_eq!(refused(&api, &BAD_ID.replace("Bearer ey", "Bearer xy")).await, (401, json!("unauthorized")));
        let in_query = NO_TOKEN.replace(r#""rawQueryString": """#, r#""rawQueryString": "token=x""#);
        assert_eq!(refused(&api, &in_query).await.0, 401, "a token in a URL ends up in logs");
    }

    #[tokio::test]
    async fn a_token_without_the_permission_is_forbidden() {
        let no_permission = include_str!("../../../events/ws-connect-no-permission.json");
        let handshake: Value = serde_json::from_str(no_permission).unwrap();
        let mut event: Value = serde_json::from_str(CAMPAIGN).unwrap();
        let token = handshake["queryStringParameters"]["token"].as_str().unwrap();
        event["headers"]["authorization"] = json!(format!("Bearer {token}"));
        let table = TestTable::create().await;
        assert_eq!(refused(&api(&table), &event.to_string()).await, (403, json!("forbidden")));
    }

    #[tokio::test]
    async fn what_goes_wrong_inside_stays_inside() {
        let table = TestTable::create().await;
        let mut api = api(&table);
        let nowhere = store::Channels::new(table.client.clone(), "no-such-table".into(), None);
        api.reader = Reader::new(nowhere, table.leases(), 1);
        let (response, body) = answer(&api, CAMPAIGN).await;
        assert_eq!((response.status().as_u16(), &body["error"]["code"]), (500, &json!("internal")));
        assert!(!body.to_string().contains("no-such-table"));
    }
}
