//! From a request to liveness or readiness.

use admission::respond;
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{Method, StatusCode},
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
    let method = request.method();
    let path = request.raw_http_path();
    let is_ours = matches!(path, "/health" | "/health/live" | "/health/ready");
    // Of other paths a preflight alone is to succeed, so that a page learns that there is nothing.
    let asks_for_methods = *method == Method::OPTIONS;
    if let Some(response) = admission::other_method(method, admission::READ).filter(|_| is_ours || asks_for_methods) {
        return response;
    }
    let response = match path {
        "/health" | "/health/live" => {
            respond(StatusCode::OK, json(&Healthy { success: true, data: Status { status: "alive" } }).into())
        }
        "/health/ready" => ready(&dependencies.check().await),
        _ => respond(StatusCode::NOT_FOUND, rest::failure(ErrorCode::NotFound).into()),
    };
    admission::as_asked(method, response)
}

fn ready(report: &Report) -> Response<Body> {
    if report.is_ready {
        return respond(StatusCode::OK, json(&Healthy { success: true, data: report }).into());
    }
    let code = ErrorCode::Unavailable;
    let error = Problem { code: code.as_str(), message: code.message() };
    respond(StatusCode::SERVICE_UNAVAILABLE, json(&NotReady { success: false, error, data: report }).into())
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
        let with =
            |method: &str, path: &str| LIVE.replace(r#""GET""#, &format!("{method:?}")).replace("/health/live", path);
        for method in ["GET", "POST", "DELETE"] {
            let (status, body) = answer(&dependencies, &with(method, "/nowhere")).await;
            assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")), "{method}");
        }
        let (status, body) = answer(&dependencies, &with("PUT", "/health/live")).await;
        assert_eq!((status, &body["error"]["code"]), (405, &json!("method_not_allowed")));
    }

    #[tokio::test]
    async fn head_and_a_preflight_are_answered_without_a_body() {
        let table = TestTable::create().await;
        let dependencies =
            Dependencies { channels: table.channels(None), leases: table.leases(), kafka: cluster(None) };
        for (method, path, status) in [
            ("HEAD", "/health", 200),
            ("HEAD", "/health/ready", 200),
            ("HEAD", "/nowhere", 404),
            ("OPTIONS", "/health", 204),
            ("OPTIONS", "/nowhere", 204),
        ] {
            let event = LIVE.replace(r#""GET""#, &format!("{method:?}")).replace("/health/live", path);
            let response = handle(&dependencies, lambda_http::request::from_str(&event).unwrap()).await;
            assert_eq!((response.status().as_u16(), response.body().is_empty()), (status, true), "{method} {path}");
        }
    }
}
