//! The event of an HTTP API, payload format 2.0.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{grouped, new_id, request_time, route::Matched};
use crate::template::ACCOUNT;

/// A request as it came in.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Without the prefix that the API has here, and with its percent-encoding undone, as API Gateway gives it.
    pub(crate) path: String,
    /// As it came.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) source_ip: IpAddr,
}

/// Makes the event for a route.
pub(crate) fn event(api_id: &str, domain: &str, matched: &Matched, request: &Request, now: Timestamp) -> Value {
    let route_key = match matched.route.path.as_str() {
        "$default" => "$default".to_owned(),
        path => format!("{} {path}", matched.route.method),
    };
    let header = |name| request.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let headers = request.headers.iter().filter(|(name, _)| *name != header::COOKIE);
    let headers = headers.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": grouped(headers, joined),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": api_id,
            "domainName": domain,
            "domainPrefix": api_id,
            "http": {
                "method": request.method.as_str(),
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.source_ip,
                "userAgent": header(header::USER_AGENT).unwrap_or_default(),
            },
            "requestId": new_id(),
            "routeKey": route_key,
            "stage": "$default",
            "time": request_time(now),
            "timeEpoch": now.as_millisecond(),
        },
        "isBase64Encoded": false,
    });
    let cookies = request.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies: Vec<_> = cookies.flat_map(|cookies| cookies.split(';')).map(str::trim).collect();
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    let query: Vec<_> = url::form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
    if !query.is_empty() {
        let pairs = query.iter().map(|(name, value)| (name.as_str(), value.clone()));
        event["queryStringParameters"] = grouped(pairs, joined).into();
    }
    if !matched.parameters.is_empty() {
        event["pathParameters"] = json!(matched.parameters);
    }
    if !request.body.is_empty() {
        let is_text = header(header::CONTENT_TYPE).is_some_and(|kind| is_text(&kind));
        if let Some(text) = std::str::from_utf8(&request.body).ok().filter(|_| is_text) {
            event["body"] = text.into();
        } else {
            event["body"] = BASE64_STANDARD.encode(&request.body).into();
            event["isBase64Encoded"] = true.into();
        }
    }
    event
}

fn joined(values: &[String]) -> Value {
    values.join(",").into()
}

/// Content types whose bodies API Gateway hands on as they are.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/") || ["application/json", "application/javascript", "application/xml"].contains(&kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::template::HttpRoute;

    fn request(headers: &[(&'static str, &str)]) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Request {
            method: Method::GET,
            path: "/channels/campaign:c 17".to_owned(),
            query: "a=1&a=2&b=x%20y".to_owned(),
            headers: map,
            body: Bytes::new(),
            source_ip: IpAddr::from([192, 0, 2, 1]),
        }
    }

    fn event_of(request: &Request) -> Value {
        let route =
            HttpRoute { method: "GET".to_owned(), path: "/channels/{channel}".to_owned(), function: "f".to_owned() };
        let parameters = BTreeMap::from([("channel".to_owned(), "campaign:c 17".to_owned())]);
        let now = "2026-01-15T10:30:00.250Z".parse().unwrap();
        let mut event = event("rest", "localhost:4000", &Matched { route: &route, parameters }, request, now);
        assert!(event["requestContext"]["requestId"].take().is_string());
        event
    }

    #[test]
    fn a_request_becomes_an_event_of_format_2() {
        let headers = [("accept", "a"), ("accept", "b"), ("cookie", "x=1; y=2"), ("user-agent", "test")];
        let expected = json!({
            "version": "2.0",
            "routeKey": "GET /channels/{channel}",
            "rawPath": "/channels/campaign:c 17",
            "rawQueryString": "a=1&a=2&b=x%20y",
            "cookies": ["x=1", "y=2"],
            "headers": {"accept": "a,b", "user-agent": "test"},
            "queryStringParameters": {"a": "1,2", "b": "x y"},
            "pathParameters": {"channel": "campaign:c 17"},
            "requestContext": {
                "accountId": "123456789012", "apiId": "rest", "domainName": "localhost:4000", "domainPrefix": "rest",
                "http": {
                    "method": "GET", "path": "/channels/campaign:c 17", "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1", "userAgent": "test",
                },
                "requestId": null, "routeKey": "GET /channels/{channel}", "stage": "$default",
                "time": "15/Jan/2026:10:30:00 +0000", "timeEpoch": 1_768_473_000_250_i64,
            },
            "isBase64Encoded": false,
        });
        assert_eq!(event_of(&request(&headers)), expected);
    }

    #[test]
    fn text_is_handed_on_and_all_else_is_base64() {
        let mut text = request(&[("content-type", "application/json; charset=utf-8")]);
        text.body = Bytes::from_static(b"{}");
        let event = event_of(&text);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{}"), &json!(false)));
        let mut binary = request(&[("content-type", "image/png")]);
        binary.body = Bytes::from_static(b"hi");
        let event = event_of(&binary);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("aGk="), &json!(true)));
    }
}
