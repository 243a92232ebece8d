//! The events of a WebSocket API, in AWS's shape.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-integrations-lambda.html>

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{connection::Client, grouped, new_id, request_time};
use crate::template::SocketApi;

/// What is the same in all events of an API.
#[derive(Clone, Debug)]
pub(crate) struct SocketEvents {
    pub(crate) api_id: String,
    pub(crate) stage: String,
    /// Where clients think they are: `localhost:4000`.
    pub(crate) domain: String,
}

/// An event, and the id by which errors name its request.
pub(crate) struct SocketEvent {
    pub(crate) json: Value,
    pub(crate) request_id: String,
}

impl SocketEvents {
    pub(crate) fn new(api: &SocketApi, domain: String) -> Self {
        Self { api_id: api.id.clone(), stage: api.stage.clone(), domain }
    }

    /// `$connect`: the handshake.
    pub(crate) fn connect(&self, client: &Client, headers: &HeaderMap, query: &str, now: Timestamp) -> SocketEvent {
        let mut event = self.event("$connect", "CONNECT", client, now);
        let pairs = || headers.iter().map(|(name, value)| (name.as_str(), lossy(value.as_bytes())));
        event.json["headers"] = grouped(pairs(), last).into();
        event.json["multiValueHeaders"] = grouped(pairs(), all).into();
        let query: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if !query.is_empty() {
            let pairs = || query.iter().map(|(name, value)| (name.as_str(), value.clone()));
            event.json["queryStringParameters"] = grouped(pairs(), last).into();
            event.json["multiValueQueryStringParameters"] = grouped(pairs(), all).into();
        }
        event
    }

    /// A message of the client.
    pub(crate) fn message(&self, route: &str, client: &Client, body: &str, now: Timestamp) -> SocketEvent {
        let mut event = self.event(route, "MESSAGE", client, now);
        event.json["requestContext"]["messageId"] = new_id().into();
        event.json["body"] = body.into();
        event
    }

    /// `$disconnect`: the end.
    pub(crate) fn disconnect(&self, client: &Client, code: u16, reason: &str, now: Timestamp) -> SocketEvent {
        let mut event = self.event("$disconnect", "DISCONNECT", client, now);
        let headers = [
            (header::HOST.as_str(), self.domain.clone()),
            ("x-api-key", String::new()),
            ("X-Forwarded-For", String::new()),
            ("x-restapi", String::new()),
        ];
        event.json["headers"] = grouped(headers.iter().cloned(), last).into();
        event.json["multiValueHeaders"] = grouped(headers.into_iter(), all).into();
        event.json["requestContext"]["disconnectStatusCode"] = code.into();
        event.json["requestContext"]["disconnectReason"] = reason.into();
        event
    }

    fn event(&self, route: &str, kind: &str, client: &Client, now: Timestamp) -> SocketEvent {
        let request_id = new_id();
        let json = json!({
            "requestContext": {
                "routeKey": route,
                "eventType": kind,
                "extendedRequestId": request_id,
                "requestTime": request_time(now),
                "messageDirection": "IN",
                "stage": self.stage,
                "connectedAt": client.connected_at.as_millisecond(),
                "requestTimeEpoch": now.as_millisecond(),
                "identity": {"sourceIp": client.source_ip, "userAgent": client.user_agent},
                "requestId": request_id,
                "domainName": self.domain,
                "connectionId": client.connection_id,
                "apiId": self.api_id,
            },
            "isBase64Encoded": false,
        });
        SocketEvent { json, request_id }
    }
}

fn all(values: &[String]) -> Value {
    values.into()
}

fn last(values: &[String]) -> Value {
    values.last().cloned().into()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{super::connection::client, *};

    fn events() -> SocketEvents {
        SocketEvents { api_id: "api".to_owned(), stage: "ws".to_owned(), domain: "localhost:4000".to_owned() }
    }

    fn now() -> Timestamp {
        "2026-01-15T10:30:00.250Z".parse().unwrap()
    }

    /// The event without the ids that differ each time.
    fn pinned(mut event: SocketEvent) -> Value {
        let context = event.json["requestContext"].as_object_mut().unwrap();
        assert_eq!(context.remove("requestId").unwrap(), event.request_id);
        context.remove("extendedRequestId").unwrap();
        event.json
    }

    fn context(route: &str, kind: &str) -> Value {
        json!({
            "routeKey": route, "eventType": kind, "requestTime": "15/Jan/2026:10:30:00 +0000", "messageDirection": "IN",
            "stage": "ws", "connectedAt": 1_768_473_000_000_i64, "requestTimeEpoch": 1_768_473_000_250_i64,
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "test"}, "domainName": "localhost:4000",
            "connectionId": "a=", "apiId": "api",
        })
    }

    #[test]
    fn a_handshake_has_headers_and_query_in_both_forms() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "localhost:4000".parse().unwrap());
        headers.append("cookie", "a=1".parse().unwrap());
        headers.append("cookie", "b=2".parse().unwrap());
        let event = events().connect(&client("a="), &headers, "token=x%20y&v=1&v=2", now());
        let expected = json!({
            "headers": {"host": "localhost:4000", "cookie": "b=2"},
            "multiValueHeaders": {"host": ["localhost:4000"], "cookie": ["a=1", "b=2"]},
            "queryStringParameters": {"token": "x y", "v": "2"},
            "multiValueQueryStringParameters": {"token": ["x y"], "v": ["1", "2"]},
            "requestContext": context("$connect", "CONNECT"),
            "isBase64Encoded": false,
        });
        assert_eq!(pinned(event), expected);
    }

    #[test]
    fn a_handshake_without_query_has_no_parameters() {
        let event = events().connect(&client("a="), &HeaderMap::new(), "", now());
        assert!(event.json.get("queryStringParameters").is_none());
    }

    #[test]
    fn a_message_has_a_body_and_no_headers() {
        let mut event = events().message("subscribe", &client("a="), "{}", now());
        assert!(event.json["requestContext"]["messageId"].take().is_string());
        let mut expected = context("subscribe", "MESSAGE");
        expected["messageId"] = Value::Null;
        assert_eq!(pinned(event), json!({"requestContext": expected, "body": "{}", "isBase64Encoded": false}));
    }

    #[test]
    fn a_disconnect_says_why() {
        let event = pinned(events().disconnect(&client("a="), 1001, "Going away", now()));
        let mut expected = context("$disconnect", "DISCONNECT");
        expected["disconnectStatusCode"] = 1001.into();
        expected["disconnectReason"] = "Going away".into();
        assert_eq!(event["requestContext"], expected);
        assert_eq!(event["headers"]["host"], "localhost:4000");
    }
}
