use auth::{KeySet, Origins, Verifier};
use projections::{Record, TenantId, topic};
use serde_json::{Value, json};
use store::{Committer, Entry, SliceId, SliceKey};
use testing::TestTable;

use super::*;

/// The local system's, which the tokens in `events/` are signed with.
const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

const CAMPAIGN: &str = include_str!("../../../../events/rest-campaign-first-time.json");
const NOT_MODIFIED: &str = include_str!("../../../../events/rest-campaign-not-modified.json");
const NO_TOKEN: &str = include_str!("../../../../events/rest-campaign-no-token.json");
const BAD_ID: &str = include_str!("../../../../events/rest-campaign-bad-id.json");
const CAMPAIGNS: &str = include_str!("../../../../events/rest-campaigns.json");
const CHANNEL: &str = include_str!("../../../../events/rest-channel.json");
const HISTORY: &str = include_str!("../../../../events/rest-history.json");
const LIVE_EVENT: &str = include_str!("../../../../events/rest-live-event.json");
const SYSTEM: &str = include_str!("../../../../events/rest-system.json");

fn now() -> Timestamp {
    "2026-01-15T10:30:00Z".parse().unwrap()
}

fn api(table: &TestTable) -> Api {
    Api {
        admission: RestAdmission {
            verifier: Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET]).unwrap(), None),
            origins: Origins::parse("https://dashboard.example.com").unwrap(),
            revocations: table.revocations(),
            requests: table.requests(),
            requests_per_minute: 600,
        },
        reader: Reader::new(table.channels(None), table.leases(), 1),
        channel_id_length: 128,
    }
}

/// Folds in one record of a tenant.
async fn fold(table: &TestTable, tenant: &str, topic: &str, value: &str) {
    let tenant = TenantId::parse(tenant).unwrap();
    let record = Record { topic, timestamp: now(), default_tenant: Some(&tenant), value: value.as_bytes() };
    let routed = topic::decode(&record).unwrap().remove(0);
    let slice = SliceId { epoch: 1, topic: record.topic.into(), partition: 0 };
    let key = SliceKey { tenant, channel: routed.channel, slice };
    let entry = Entry { offset: 7, at: routed.at, event: routed.event };
    let channels = table.channels(None);
    let committed = Committer::new(channels.clone()).commit(&key, &[entry], now()).await.unwrap();
    let listing = committed.listing;
    channels.describe(&key.tenant, &key.channel, listing.as_ref(), now(), now()).await.unwrap();
}

/// Counts one call of `c-17` for a tenant.
async fn call(table: &TestTable, tenant: &str) {
    let call = r#"{"eventType":"call_initiated","campaignId":"c-17","callId":"k"}"#;
    fold(table, tenant, "campaign.events.v1", call).await;
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
    assert_eq!(body["success"], false);
    for (name, value) in rest::HEADERS {
        assert_eq!(response.headers()[name], value);
    }
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
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
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
async fn head_is_answered_as_get_without_the_body() {
    let table = TestTable::create().await;
    let api = api(&table);
    call(&table, "acme").await;
    for event in [CAMPAIGN, NO_TOKEN, LIVE_EVENT] {
        let (get, _) = answer(&api, event).await;
        let (head, body) = answer(&api, &event.replace(r#""GET""#, r#""HEAD""#)).await;
        assert_eq!((head.status(), head.headers(), body), (get.status(), get.headers(), Value::Null));
    }
}

#[tokio::test]
async fn a_large_body_is_compressed_for_who_takes_it_and_its_tag_is_known_again() {
    let table = TestTable::create().await;
    let api = api(&table);
    for campaign in 0..9 {
        let call = format!(r#"{{"eventType":"call_initiated","campaignId":"c-{campaign}","callId":"k"}}"#);
        fold(&table, "acme", "campaign.events.v1", &call).await;
    }
    let mut event: Value = serde_json::from_str(CAMPAIGNS).unwrap();
    event["headers"].as_object_mut().unwrap().remove("accept-encoding");
    let (plain, expected) = answer(&api, &event.to_string()).await;
    assert_eq!(plain.headers().get(header::CONTENT_ENCODING), None);
    assert_eq!(plain.headers()[header::VARY], "accept-encoding");

    event["headers"]["accept-encoding"] = json!("gzip, deflate, br");
    let request = |event: &Value| lambda_http::request::from_str(&event.to_string()).unwrap();
    let (parts, body) = api.handle(request(&event), now()).await.into_parts();
    assert_eq!(parts.headers[header::CONTENT_ENCODING], "gzip");
    assert_eq!(parts.headers[header::VARY], "accept-encoding");
    assert!(matches!(body, Body::Binary(_)), "which API Gateway is handed in base64");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    let strong = plain.headers()[header::ETAG].to_str().unwrap();
    assert_eq!(parts.headers[header::ETAG], format!("W/{strong}"), "the bytes differ, the view does not");

    for tag in [strong.to_owned(), format!("W/{strong}")] {
        event["headers"]["if-none-match"] = json!(tag);
        let again = api.handle(request(&event), now()).await;
        assert_eq!(
            (again.status(), &again.headers()[header::ETAG]),
            (StatusCode::NOT_MODIFIED, &parts.headers[header::ETAG])
        );
        assert!(again.body().is_empty());
    }
}

#[tokio::test]
async fn campaigns_are_shown_by_their_status() {
    let table = TestTable::create().await;
    let api = api(&table);
    call(&table, "acme").await;
    for (campaign, status) in [("c-1", "paused"), ("c-2", "active"), ("c-3", "completed")] {
        let change =
            format!(r#"{{"eventType":"campaign_status_changed","campaignId":"{campaign}","status":"{status}"}}"#);
        fold(&table, "acme", "campaign.events.v1", &change).await;
    }
    let asking = |query: &str| {
        let mut event: Value = serde_json::from_str(CAMPAIGNS).unwrap();
        event["rawQueryString"] = json!(query);
        event.to_string()
    };
    let shown = async |query: &str| {
        let (response, body) = answer(&api, &asking(query)).await;
        assert_eq!(response.status(), StatusCode::OK, "{query}: {body}");
        let ids = body["data"].as_array().unwrap().iter().map(|campaign| campaign["campaignId"].to_string());
        ids.collect::<std::collections::BTreeSet<_>>()
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| format!("\"{id}\"")).collect();
    assert_eq!(shown("status=paused").await, ids(&["c-1"]));
    assert_eq!(shown("status=completed").await, ids(&["c-3"]));
    assert_eq!(shown("status=cancelled").await, ids(&[]));
    assert_eq!(shown("status=active&page=2").await, ids(&["c-17", "c-2"]), "who never had one is active");
    assert_eq!(shown("page=2").await, shown("").await);
    for bad in
        ["status=", "status", "status=PAUSED", "status=busy", "status=active,paused", "status=active&status=paused"]
    {
        assert_eq!(refused(&api, &asking(bad)).await, (400, json!("invalid_request")), "{bad}");
    }
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
async fn names_of_people_are_initials_for_who_may_not_see_them() {
    let table = TestTable::create().await;
    let check_in = r#"{"type":"CHECK_IN_PROCESSED","eventId":"evt_1","checkInData":{"id":"u","name":"Ada Lovelace"}}"#;
    fold(&table, "acme", "platform.analytics.check-in.v1", check_in).await;
    let (response, body) = answer(&api(&table), LIVE_EVENT).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(body.to_string().contains("A. L.") && !body.to_string().contains("Ada"), "{body}");
}

#[tokio::test]
async fn an_id_may_be_limited_further() {
    let table = TestTable::create().await;
    call(&table, "acme").await;
    let mut api = api(&table);
    for (length, status) in [(4, 200), (3, 404)] {
        api.channel_id_length = length;
        let (response, body) = answer(&api, CHANNEL).await;
        assert_eq!(response.status().as_u16(), status, "{body}");
    }
    assert_eq!(refused(&api, CAMPAIGN).await, (404, json!("unknown_channel")));
    assert_eq!(answer(&api, CAMPAIGNS).await.0.status(), StatusCode::OK, "has no id");
}

#[tokio::test]
async fn who_is_not_admitted_is_told_why() {
    let table = TestTable::create().await;
    let mut api = api(&table);
    let foreign = CAMPAIGN.replace(r#""host""#, r#""origin": "https://elsewhere.example.net", "host""#);
    assert_eq!(refused(&api, &foreign).await, (403, json!("origin_not_allowed")));
    api.admission.requests_per_minute = 0;
    let (response, body) = answer(&api, CAMPAIGN).await;
    assert_eq!((response.status().as_u16(), &body["error"]["code"]), (429, &json!("rate_limited")));
    assert_eq!(response.headers()[header::RETRY_AFTER], "60");
    api.admission.revocations.revoke(&TenantId::parse("acme").unwrap(), None, now()).await.unwrap();
    assert_eq!(refused(&api, CAMPAIGN).await, (401, json!("revoked")));
}

#[tokio::test]
async fn another_method_is_told_which_ones_are_allowed() {
    let table = TestTable::create().await;
    let (response, _) = answer(&api(&table), &CAMPAIGN.replace(r#""GET""#, r#""POST""#)).await;
    assert_eq!((response.status().as_u16(), &response.headers()[header::ALLOW]), (405, &"GET, HEAD".parse().unwrap()));
}

#[tokio::test]
async fn a_token_without_the_permission_is_forbidden() {
    let no_permission = include_str!("../../../../events/ws-connect-no-permission.json");
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

#[tokio::test]
async fn history_shows_what_came_in_each_step_to_those_alone_who_may_see_the_channel() {
    let table = TestTable::create().await;
    let api = api(&table);
    assert_eq!(refused(&api, HISTORY).await, (404, json!("not_found")), "nobody has heard of it");
    call(&table, "acme").await;
    let (response, body) = answer(&api, HISTORY).await;
    assert_eq!(response.status(), StatusCode::OK);
    let data = &body["data"];
    assert_eq!((&data["channel"], &data["step"]), (&json!("campaign:c-17"), &json!("minute")));
    assert_eq!((&data["from"], &data["to"]), (&json!("2026-01-15T10:28:00.000Z"), &json!("2026-01-15T10:33:00.000Z")));
    let points = data["points"].as_array().unwrap();
    assert_eq!(points.len(), 1, "from its first record until now: {points:?}");
    assert_eq!(points[0]["at"], "2026-01-15T10:30:00.000Z");
    let values = &points[0]["values"];
    assert_eq!((&values["totalAttempts"], &values["activeCalls"]), (&json!(1), &json!(1)));

    for (wrong, code) in [
        (
            HISTORY.replace("step=minute", "step=week").replace(r#""step": "minute""#, r#""step": "week""#),
            "invalid_request",
        ),
        (HISTORY.replace("campaign:c-17", "system"), "not_found"),
        (HISTORY.replace("campaign:c-17", "planet:mars"), "unknown_channel"),
    ] {
        assert_eq!(refused(&api, &wrong).await.1, code);
    }
}

#[tokio::test]
async fn history_is_that_of_the_tenant_who_asks() {
    let table = TestTable::create().await;
    call(&table, "other").await;
    assert_eq!(refused(&api(&table), HISTORY).await, (404, json!("not_found")));
}
