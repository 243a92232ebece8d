//! The way of functions to DynamoDB, the embedded one or another: it meters what passes, and throttles as AWS does.
//!
//! Own code, because no emulator throttles: Dynoxide and DynamoDB Local take whatever comes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;
use url::Url;

use super::{
    call::Call,
    meter::Meter,
    throughput::{Access, Exceeded},
};
use crate::{console, template::table_arn};

/// Where functions find DynamoDB.
pub(crate) const DYNAMODB: &str = "/_aws/dynamodb";

/// The greatest request that DynamoDB takes.
const MAX_REQUEST: usize = 16 * 1024 * 1024;

/// Operations that take units and are not metered, for no function uses them.
const UNMETERED: [&str; 9] = [
    "BatchExecuteStatement",
    "BatchGetItem",
    "BatchWriteItem",
    "ExecuteStatement",
    "ExecuteTransaction",
    "PartiQLSelect",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
];

/// What belongs to a connection and not to a message, or is written anew.
const HOP: [HeaderName; 4] = [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// The checksum of a body that may have been changed.
const CHECKSUM: &str = "x-amz-crc32";

struct Proxy {
    url: Url,
    client: reqwest::Client,
    meter: Arc<Meter>,
    /// Whether an operation came that is not metered. It is told once.
    has_warned: AtomicBool,
}

/// Serves the DynamoDB at `url` below [`DYNAMODB`].
pub(crate) fn router(url: &str, meter: Arc<Meter>) -> anyhow::Result<Router> {
    let url = Url::parse(url).with_context(|| format!("{url} is no URL"))?;
    let client = reqwest::Client::builder().tcp_nodelay(true).no_proxy().build()?;
    let proxy = Proxy { url, client, meter, has_warned: AtomicBool::new(false) };
    // The SDK puts a slash behind the endpoint's path.
    let routes = Router::new().route(DYNAMODB, post(carry)).route(&format!("{DYNAMODB}/"), post(carry));
    Ok(routes.layer(DefaultBodyLimit::max(MAX_REQUEST)).with_state(Arc::new(proxy)))
}

async fn carry(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    let Some(call) = Call::read(operation, &body, |table| proxy.meter.partition_key(table)) else {
        proxy.warn_of(operation);
        return proxy.send(&headers, body).await.map_or_else(unavailable, IntoResponse::into_response);
    };
    if let Err(exceeded) = proxy.meter.admit(&call, Instant::now()) {
        return throttled(&call, exceeded);
    }
    // Who asked may go away meanwhile. What DynamoDB does then it does nevertheless, and it is paid for.
    let carried = tokio::spawn(async move {
        let answer = proxy.send(&headers, call.asking(&body)).await;
        let (units, answer) = match answer {
            Ok((status, headers, body)) => {
                let (units, body) = call.answered(status, body);
                (units, Ok((status, headers, body)))
            }
            Err(error) => (0.0, Err(error)),
        };
        proxy.meter.settle(&call, units, Instant::now());
        answer.map_or_else(unavailable, IntoResponse::into_response)
    });
    carried.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

impl Proxy {
    async fn send(&self, headers: &HeaderMap, body: Bytes) -> reqwest::Result<(StatusCode, HeaderMap, Bytes)> {
        let request = self.client.post(self.url.clone()).headers(end_to_end(headers)).body(body);
        let response = request.send().await?;
        let (status, headers) = (response.status(), end_to_end(response.headers()));
        Ok((status, headers, response.bytes().await?))
    }

    fn warn_of(&self, operation: &str) {
        if UNMETERED.contains(&operation) && !self.has_warned.swap(true, Ordering::Relaxed) {
            console::warn(&format!("{operation} is neither metered nor throttled here"));
        }
    }
}

fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for hop in HOP {
        headers.remove(hop);
    }
    headers.remove(CHECKSUM);
    headers
}

/// As DynamoDB answers when it cannot: the SDK tries again.
#[expect(clippy::needless_pass_by_value, reason = "what `map_or_else` gives")]
fn unavailable(error: reqwest::Error) -> Response {
    tracing::debug!(%error, "DynamoDB does not answer");
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ServiceUnavailable",
        "message": "DynamoDB is currently unavailable. Try again later.",
    });
    (StatusCode::SERVICE_UNAVAILABLE, CONTENT_TYPE, body.to_string()).into_response()
}

const CONTENT_TYPE: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/x-amz-json-1.0")];

/// As DynamoDB answers for a table whose capacity is on demand, as all of ours are: `ThrottlingException` where a partition
/// is too hot, with a message that calls that a hot key (praetorian-inc/chariot-ui#684 quotes one);
/// `RequestLimitExceeded` where the account's quota is used up. Provisioned tables answer
/// `ProvisionedThroughputExceededException` instead. `ThrottlingReasons` say which limit it was
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html>); in a `ThrottlingException`
/// they begin with a small letter.
fn throttled(call: &Call, exceeded: Exceeded) -> Response {
    let access = match call.access {
        Access::Read => "Read",
        Access::Write => "Write",
    };
    let resource = table_arn(&call.table);
    let body = match exceeded {
        Exceeded::PartitionKey => json!({
            "__type": "com.amazon.coral.availability#ThrottlingException",
            "message": "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling \
                your table or index so please try again shortly. If exceptions persist, check if you have a hot key: \
                https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html",
            "throttlingReasons": [{"reason": format!("Table{access}KeyRangeThroughputExceeded"), "resource": resource}],
        }),
        Exceeded::Table => json!({
            "__type": "com.amazonaws.dynamodb.v20120810#RequestLimitExceeded",
            "message": "Throughput exceeds the current throughput limit for your account.",
            "ThrottlingReasons": [{"reason": format!("Table{access}AccountLimitExceeded"), "resource": resource}],
        }),
    };
    (StatusCode::BAD_REQUEST, CONTENT_TYPE, body.to_string()).into_response()
}

#[cfg(test)]
mod tests;
