//! API Gateway: the WebSocket API with `@connections`, and the HTTP API.
//!
//! Own code, because nothing that is kept embeds it: the emulators are programs in other languages (`serverless-offline`,
//! `LocalStack`), and SAM's own has no WebSocket API.

pub(crate) mod connection;
pub(crate) mod http;
pub(crate) mod http_event;
pub(crate) mod management;
pub(crate) mod meter;
pub(crate) mod route;
pub(crate) mod socket;
pub(crate) mod socket_event;

use std::time::Duration;

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::invoke::{Invoke, InvokeError};

/// How long API Gateway waits for a function behind a WebSocket API; behind an HTTP API it is a second more.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);

/// Why a function behind an API gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Failed,
    TimedOut,
    /// What was asked for is too large for an invocation.
    TooLarge,
}

/// Invokes the function behind a route.
pub(crate) async fn integrate<I: Invoke>(invoker: &I, function: &str, event: &Value) -> Result<Value, Failure> {
    let invocation = invoker.invoke(function, Bytes::from(event.to_string()));
    match tokio::time::timeout(INTEGRATION_TIMEOUT, invocation).await {
        Ok(Ok(answer)) => serde_json::from_slice(&answer).map_err(|_| Failure::Failed),
        Ok(Err(InvokeError::TimedOut)) | Err(_) => Err(Failure::TimedOut),
        Ok(Err(InvokeError::TooLarge)) => Err(Failure::TooLarge),
        Ok(Err(_)) => Err(Failure::Failed),
    }
}

/// An id as API Gateway makes them: 15 characters of base64 and a `=`.
pub(crate) fn new_id() -> String {
    BASE64_URL_SAFE.encode(rand::random::<[u8; 11]>())
}

/// Whether API Gateway could have given this id.
pub(crate) fn is_id(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    text.strip_suffix('=').is_some_and(|letters| letters.len() == 15 && letters.bytes().all(is_letter))
}

/// `09/Feb/2024:18:23:28 +0000`
pub(crate) fn request_time(now: Timestamp) -> String {
    now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

/// What a function that stands behind an API answers with.
#[derive(Debug)]
pub(crate) struct ProxyAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl ProxyAnswer {
    /// Reads an answer that has a `statusCode`; of any other, nothing comes.
    pub(crate) fn read(answer: &Value) -> Option<Self> {
        let status = StatusCode::from_u16(answer["statusCode"].as_u64()?.try_into().ok()?).ok()?;
        let mut headers = HeaderMap::new();
        let mut append = |name: &str, value: &Value| {
            if let (Ok(name), Some(Ok(value))) = (name.parse::<header::HeaderName>(), scalar(value).map(|v| v.parse()))
            {
                headers.append(name, value);
            }
        };
        for (name, values) in entries(&answer["multiValueHeaders"]) {
            values.as_array().into_iter().flatten().for_each(|value| append(name, value));
        }
        for (name, value) in entries(&answer["headers"]) {
            // Functions may say the same in both; the single one then repeats one of the many.
            if entries(&answer["multiValueHeaders"]).all(|(many, _)| !many.eq_ignore_ascii_case(name)) {
                append(name, value);
            }
        }
        answer["cookies"].as_array().into_iter().flatten().for_each(|cookie| append("set-cookie", cookie));
        let body = match &answer["body"] {
            Value::Null => Vec::new(),
            Value::String(text) if answer["isBase64Encoded"] == true => BASE64_STANDARD.decode(text).ok()?,
            Value::String(text) => text.clone().into_bytes(),
            _ => return None,
        };
        Some(Self { status, headers, body })
    }
}

impl IntoResponse for ProxyAnswer {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// `{"message": …}`, as API Gateway says it itself.
pub(crate) fn message(status: StatusCode, text: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, json!({"message": text}).to_string()).into_response()
}

/// As API Gateway answers who asks too often.
pub(crate) fn too_many_requests() -> Response {
    message(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests")
}

/// Names and values, of a name that comes more than once what `join` makes of all its values.
pub(crate) fn grouped<'a>(
    pairs: impl Iterator<Item = (&'a str, String)>,
    join: impl Fn(&[String]) -> Value,
) -> Map<String, Value> {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, value) in pairs {
        match groups.iter_mut().find(|(group, _)| *group == name) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    groups.into_iter().map(|(name, values)| (name.to_owned(), join(&values))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_api_gateway_writes_them() {
        assert_eq!(request_time("2024-02-09T18:23:28.941Z".parse().unwrap()), "09/Feb/2024:18:23:28 +0000");
    }

    #[test]
    fn ids_look_like_those_of_api_gateway() {
        let id = new_id();
        assert_eq!(id.len(), 16);
        assert!(id.ends_with('='));
        assert_ne!(id, new_id());
        assert!(is_id(&id));
    }

    #[test]
    fn a_proxy_answer_has_status_headers_cookies_and_body() {
        let answer = ProxyAnswer::read(&json!({
            "statusCode": 201,
            "headers": {"ETag": "\"x\"", "vary": "a"},
            "multiValueHeaders": {"Vary": ["a", "b"]},
            "cookies": ["a=1", "b=2"],
            "body": "aGk=",
            "isBase64Encoded": true,
        }))
        .unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.headers["etag"], "\"x\"");
        assert_eq!(answer.headers.get_all("vary").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(answer.body, b"hi");
    }

    #[test]
    fn what_has_no_status_is_no_proxy_answer() {
        assert!(ProxyAnswer::read(&json!({"body": "x"})).is_none());
        assert!(ProxyAnswer::read(&json!({"statusCode": 200, "body": {}})).is_none());
        assert!(ProxyAnswer::read(&json!({"statusCode": 9999})).is_none());
    }
}
