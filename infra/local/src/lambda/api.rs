//! The Runtime API that functions speak, and the Invoke API that they invoke each other with.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use serde_json::json;

use super::{Host, MAX_PAYLOAD, Refused, process::Process};
use crate::{
    invoke::{Invoke, InvokeError},
    template::function_name,
};

/// Each process has an address of its own below this, so that requests need not say whose they are. The runtime's
/// client puts the path of `AWS_LAMBDA_RUNTIME_API` before its own.
pub(super) const RUNTIME: &str = "/_aws/runtime";

/// Where the Invoke API takes invocations.
pub(crate) const INVOCATIONS: &str = "/2015-03-31/functions/{function}/invocations";

/// Both APIs.
pub(crate) fn router(host: Arc<Host>) -> Router {
    let invocations = Router::new().route(INVOCATIONS, post(invoke)).layer(DefaultBodyLimit::max(MAX_PAYLOAD));
    runtime_router(host.clone()).merge(invocations.with_state(host))
}

/// The Runtime API alone.
pub(crate) fn runtime_router(host: Arc<Host>) -> Router {
    let runtime = format!("{RUNTIME}/{{function}}/{{process}}/2018-06-01/runtime");
    Router::new()
        .route(&format!("{runtime}/invocation/next"), get(next))
        .route(&format!("{runtime}/invocation/{{request}}/response"), post(response))
        .route(&format!("{runtime}/invocation/{{request}}/error"), post(error))
        .route(&format!("{runtime}/init/error"), post(|| async { StatusCode::ACCEPTED }))
        .layer(DefaultBodyLimit::max(MAX_PAYLOAD))
        .with_state(host)
}

impl Host {
    fn process(&self, function: &str, id: u64) -> Option<Arc<Process>> {
        self.functions.get(function)?.pool.process(id)
    }
}

async fn next(State(host): State<Arc<Host>>, Path((function, id)): Path<(String, u64)>) -> Response {
    let Some(process) = host.process(&function, id) else { return StatusCode::GONE.into_response() };
    // Released before waiting: a process that is killed while it waits is not kept by its own request.
    match process.next().await {
        Some(invocation) => {
            let mut response = invocation.payload.clone().into_response();
            for (name, value) in invocation.headers(&function) {
                if let Ok(value) = value.parse() {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        None => StatusCode::GONE.into_response(),
    }
}

async fn response(
    State(host): State<Arc<Host>>,
    Path((function, id, request)): Path<(String, u64, String)>,
    body: Bytes,
) -> StatusCode {
    answer(&host, &function, id, &request, Ok(body))
}

async fn error(
    State(host): State<Arc<Host>>,
    Path((function, id, request)): Path<(String, u64, String)>,
    body: Bytes,
) -> StatusCode {
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let error_type = body["errorType"].as_str().unwrap_or("Unhandled").to_owned();
    answer(&host, &function, id, &request, Err(InvokeError::Function { error_type }))
}

fn answer(host: &Host, function: &str, id: u64, request: &str, answer: Result<Bytes, InvokeError>) -> StatusCode {
    match host.process(function, id) {
        Some(process) if process.answer(request, answer) => StatusCode::ACCEPTED,
        // Nobody waits any more: it came after the timeout.
        _ => StatusCode::BAD_REQUEST,
    }
}

/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
async fn invoke(
    State(host): State<Arc<Host>>,
    Path(function): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response {
    let function = function_name(&function);
    let kind = headers.get("x-amz-invocation-type").and_then(|kind| kind.to_str().ok());
    let payload = if payload.is_empty() { Bytes::from_static(b"{}") } else { payload };
    match kind.unwrap_or("RequestResponse") {
        "Event" => match host.invoke_later(function, payload) {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(Refused::Unknown) => not_found(function),
            Err(Refused::TooMany) => refuse(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequestsException",
                "too many asynchronous invocations are waiting",
            ),
        },
        "RequestResponse" => match host.invoke(function, payload).await {
            Ok(answer) => answer.into_response(),
            Err(InvokeError::Unknown) => not_found(function),
            Err(InvokeError::ShuttingDown) => {
                refuse(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", "the system is shutting down")
            }
            Err(error) => {
                let error_type = match &error {
                    InvokeError::Function { error_type } => error_type,
                    _ => "Unhandled",
                };
                let body = json!({"errorType": error_type, "errorMessage": error.to_string()});
                ([("x-amz-function-error", "Unhandled")], body.to_string()).into_response()
            }
        },
        _ => refuse(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            "the invocation type is neither Event nor RequestResponse",
        ),
    }
}

fn not_found(function: &str) -> Response {
    refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", &format!("there is no function {function}"))
}

fn refuse(status: StatusCode, kind: &'static str, message: &str) -> Response {
    (status, [("x-amzn-errortype", kind)], json!({"Message": message}).to_string()).into_response()
}
