//! From a request to liveness or readiness.

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
            respond(StatusCode::OK, json(&Healthy { success: true, data: Status { status: "alive" } }))
        }
        (&Method::GET, "/health/ready") => ready(&dependencies.check().await),
        (&Method::GET, _) => refuse(ErrorCode::NotFound),
        _ => refuse(ErrorCode::MethodNotAllowed),
    }
}

fn ready(report: &Report) -> Response<Body> {
    if report.is_ready {
        return respond(StatusCode::OK, json(&Healthy { success: true, data: report }));
    }
    let code = ErrorCode::Unavailable;
    let error = Problem { code: code.as_str(), message: code.message() };
    respond(StatusCode::SERVICE_UNAVAILABLE, json(&NotReady { success: false, error, data: report }))
}

fn refuse(code: ErrorCode) -> Response<Body> {
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, rest::failure(code))
}

fn respond(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[expect(clippy::expect_used, reason = "strings and no maps: there is nothing that could fail")]
fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("a body of strings is always JSON")
}
