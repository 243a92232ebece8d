//! From a request to liveness or readiness.

use admission::respond;
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderValue, Method, StatusCode, header},
};
use protocol::{ErrorCode, rest};
use serde::Serialize;

use crate::readiness::{Dependencies, Report};

/// What a healthy answer looks like; the same as every REST body.
#[derive(Serialize)]
struct Healthy<T> {
    success: bool,
    data: T,
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// A REST failure that also says which check has failed.
#[derive(Serialize)]
struct NotReady<'a> {
    success: bool,
    error: Problem,
    data: &'a Report,
}

#[derive(Serialize)]
struct Problem {
    code: &'static str,
    message: &'static str,
}

/// Answers one request.
pub(crate) async fn handle(dependencies: &Dependencies, request: Request) -> Response<Body> {
    match (request.method(), request.raw_http_path()) {
        (&Method::GET, "/health" | "/health/live") => {
            respond(StatusCode::OK, json(&Healthy { success: true, data: Status { status: "alive" } }).into())
        }
        (&Method::GET, "/health/ready") => ready(&dependencies.check().await),
        (&Method::GET, _) => refuse(ErrorCode::NotFound),
        _ => refuse(ErrorCode::MethodNotAllowed),
    }
}

fn ready(report: &Report) -> Response<Body> {
    if report.is_ready {
        return respond(StatusCode::OK, json(&Healthy { success: true, data: report }).into());
    }
    let code = ErrorCode::Unavailable;
    let error = Problem { code: code.as_str(), message: code.message() };
    respond(StatusCode::SERVICE_UNAVAILABLE, json(&NotReady { success: false, error, data: report }).into())
}

fn refuse(code: ErrorCode) -> Response<Body> {
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, rest::failure(code).into());
    if code == ErrorCode::MethodNotAllowed {
        // RFC 9110 §15.5.6 wants it.
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    response
}

#[expect(clippy::expect_used, reason = "strings and no maps: there is nothing that could fail")]
fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("a body of strings is always JSON")
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use runtime::Cluster;
    use serde_json::{Value, json};
    use store::{Channels, Leases};
    use testing::TestTable;

    use super::*;

    const HEALTH: &str = include_str!("../../../events/rest-health.json");
    const LIVE: &str = include_str!("../../../events/rest-health-live.json");
    const READY: &str = include_str!("../../../events/rest-health-ready.json");

    fn cluster(arn: Option<&str>) -> Cluster {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url("http://127.0.0.1:1")
            .build();
        Cluster::new(&sdk, arn.map(str::to_owned))
    }

    async fn answer(dependencies: &Dependencies, event: &str) -> (u16, Value) {
        let response = handle(dependencies, lambda_http::request::from_str(event).unwrap()).await;
        for (name, value) in rest::HEADERS {
            assert_eq!(response.headers()[name], value);
        }
        assert_eq!(response.headers().contains_key(header::ALLOW), response.status() == StatusCode::METHOD_NOT_ALLOWED);
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
    }

    #[tokio::test]
    async fn a_system_whose_tables_answer_is_ready_and_says_plainly_that_there_is_no_cluster() {
        let table = TestTable::create().await;
        let dependencies =
            Dependencies { channels: table.channels(None), leases: table.leases(), kafka: cluster(None) };
        let report = json!({ "channelsTable": "ok", "connectionsTable": "ok", "kafka": "not configured" });
        assert_eq!(answer(&dependencies, READY).await, (200, json!({ "success": true, "data": report })));
    }

    #[tokio::test]
    async fn a_system_without_its_tables_or_its_cluster_is_alive_but_not_ready() {
        let table = TestTable::create().await;
        let nowhere = "no-such-table".to_owned();
        let dependencies = Dependencies {
            channels: Channels::new(table.client.clone(), nowhere.clone(), None),
            leases: Leases::new(table.client.clone(), nowhere),
            kafka: cluster(Some("arn:aws:kafka:eu-central-1:123456789012:cluster/secret/1")),
        };
        for event in [HEALTH, LIVE] {
            assert_eq!(
                answer(&dependencies, event).await,
                (200, json!({ "success": true, "data": { "status": "alive" } }))
            );
        }
        let (status, body) = answer(&dependencies, READY).await;
        assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")));
        let report = json!({ "channelsTable": "failing", "connectionsTable": "failing", "kafka": "unknown" });
        assert_eq!(body["data"], report);
        assert!(!body.to_string().contains("secret") && !body.to_string().contains("no-such-table"));
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let table = TestTable::create().await;
        let dependencies =
            Dependencies { channels: table.channels(None), leases: table.leases(), kafka: cluster(None) };
        assert_eq!(answer(&dependencies, &LIVE.replace("/live", "/dead")).await.0, 404);
        assert_eq!(answer(&dependencies, &LIVE.replace(r#""GET""#, r#""PUT""#)).await.0, 405);
    }
}
