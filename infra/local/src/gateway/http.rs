//! The HTTP API.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::HttpBody as _,
    extract::{ConnectInfo, DefaultBodyLimit, Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use super::{
    Failure, ProxyAnswer, http_event, integrate, message,
    meter::{self, Meter},
    route, too_many_requests,
};
use crate::{
    invoke::Invoke,
    template::{Cors, HttpApi},
};

/// The greatest request of an HTTP API.
const MAX_REQUEST: usize = 10 * 1024 * 1024;

/// An HTTP API with the functions behind it.
pub(crate) struct HttpGateway<I> {
    pub(crate) api: HttpApi,
    pub(crate) invoker: Arc<I>,
    /// Where clients think they are: `localhost:4000`.
    pub(crate) domain: String,
    pub(crate) meter: Arc<Meter>,
}

/// Serves the API below `/api`.
pub(crate) fn router<I: Invoke>(gateway: HttpGateway<I>) -> Router {
    let cors = gateway.api.cors.as_ref().map(cors);
    let routes = Router::new()
        .route("/api", any(handle::<I>))
        .route("/api/", any(handle::<I>))
        .route("/api/{*path}", any(handle::<I>))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(Arc::new(gateway));
    match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

async fn handle<I: Invoke>(
    State(gateway): State<Arc<HttpGateway<I>>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    path: Option<Path<String>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !gateway.meter.admit(meter::Request::Rest, Instant::now()) {
        return too_many_requests();
    }
    let path = path.map_or_else(|| "/".to_owned(), |Path(path)| format!("/{path}"));
    let source_ip = peer.ip().to_canonical();
    let request = http_event::Request { method, path, query: query.unwrap_or_default(), headers, body, source_ip };
    let Some(matched) = route::of_request(&gateway.api, request.method.as_str(), &request.path) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let event = http_event::event(&gateway.api.id, &gateway.domain, &matched, &request, Timestamp::now());
    let response = match integrate(&*gateway.invoker, &matched.route.function, &event).await {
        Ok(answer) => respond(&answer),
        Err(Failure::TimedOut) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        // An HTTP API takes 10 MB and an invocation 6.
        Err(Failure::TooLarge) => message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
        Err(Failure::Failed) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    };
    gateway.meter.responded(response.body().size_hint().lower());
    response
}

/// A function's answer: a response with `statusCode`, or any JSON, which is then the body of a 200.
fn respond(answer: &Value) -> Response {
    if answer.get("statusCode").is_none() {
        return ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response();
    }
    match ProxyAnswer::read(answer) {
        Some(mut answer) => {
            if !answer.body.is_empty() {
                let text = HeaderValue::from_static("text/plain;charset=UTF-8");
                answer.headers.entry(header::CONTENT_TYPE).or_insert(text);
            }
            answer.into_response()
        }
        None => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

fn cors(cors: &Cors) -> CorsLayer {
    let origins = cors.origins.clone();
    let is_allowed = move |origin: &HeaderValue| origins.iter().any(|allowed| allowed == "*" || allowed == origin);
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| is_allowed(origin)))
        .allow_methods(match any_or(&cors.methods) {
            None => AllowMethods::mirror_request(),
            Some(methods) => AllowMethods::list(methods),
        })
        .allow_headers(match any_or(&cors.headers) {
            None => AllowHeaders::mirror_request(),
            Some(headers) => AllowHeaders::list(headers),
        })
        .expose_headers(any_or(&cors.exposed).unwrap_or_default())
        .allow_credentials(cors.credentials);
    match cors.max_age {
        Some(seconds) => layer.max_age(Duration::from_secs(seconds)),
        None => layer,
    }
}

/// The names, or nothing if all are allowed.
fn any_or<T: std::str::FromStr>(names: &[String]) -> Option<Vec<T>> {
    (!names.iter().any(|name| name == "*")).then(|| names.iter().filter_map(|name| name.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        extract::connect_info::MockConnectInfo,
        http::Request,
    };
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{invoke::InvokeError, template::HttpRoute};

    /// A function that answers with what it was asked for, or fails when told to.
    struct Echo;

    impl Invoke for Echo {
        async fn invoke(&self, _: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
            let event: Value = serde_json::from_slice(&payload).unwrap();
            match event["pathParameters"]["thing"].as_str() {
                Some("crash") => Err(InvokeError::Crashed),
                Some("large") => Err(InvokeError::TooLarge),
                Some("slow") => Err(InvokeError::TimedOut),
                Some("plain") => Ok(Bytes::from(r#"{"any":"json"}"#)),
                _ => Ok(Bytes::from(
                    json!({"statusCode": 202, "headers": {"ETag": "\"1\""}, "body": event["rawPath"]}).to_string(),
                )),
            }
        }
    }

    fn api(cors: Option<Cors>, meter: Arc<Meter>) -> Router {
        let route =
            |path: &str| HttpRoute { method: "GET".to_owned(), path: path.to_owned(), function: "f".to_owned() };
        let api = HttpApi { id: "rest".to_owned(), routes: vec![route("/"), route("/{thing}")], cors };
        let domain = "localhost".to_owned();
        let router = router(HttpGateway { api, invoker: Arc::new(Echo), domain, meter });
        router.layer(MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))))
    }

    async fn send(cors: Option<Cors>, request: axum::http::request::Builder) -> Response {
        api(cors, Arc::default()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn get(path: &str) -> Response {
        send(None, Request::get(format!("/api{path}"))).await
    }

    async fn answer(path: &str) -> (u16, String) {
        let response = get(path).await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_function_answers_with_status_headers_and_body() {
        assert_eq!(get("/a").await.headers()["etag"], "\"1\"");
        assert_eq!(answer("/a%20b").await, (202, "/a b".to_owned()));
        assert_eq!(answer("").await, (202, "/".to_owned()));
        assert_eq!(answer("/plain").await, (200, r#"{"any":"json"}"#.to_owned()));
    }

    #[tokio::test]
    async fn what_api_gateway_says_itself_is_a_message() {
        assert_eq!(answer("/a/b").await, (404, r#"{"message":"Not Found"}"#.to_owned()));
        assert_eq!(answer("/crash").await, (500, r#"{"message":"Internal Server Error"}"#.to_owned()));
        assert_eq!(answer("/large").await, (413, r#"{"message":"Request Entity Too Large"}"#.to_owned()));
        assert_eq!(answer("/slow").await, (503, r#"{"message":"Service Unavailable"}"#.to_owned()));
    }

    #[tokio::test]
    async fn who_asks_too_often_is_told_so_and_a_page_may_read_it() {
        let meter = Arc::new(meter::tiny(1.0));
        let api = api(Some(cors_of(&["https://a.example"])), Arc::clone(&meter));
        let get =
            || Request::get("/api/plain").header(header::ORIGIN, "https://a.example").body(Body::empty()).unwrap();
        assert_eq!(api.clone().oneshot(get()).await.unwrap().status(), 200);
        let refused = api.oneshot(get()).await.unwrap();
        assert_eq!(refused.status(), 429);
        assert_eq!(header_of(&refused, header::ACCESS_CONTROL_ALLOW_ORIGIN), "https://a.example");
        assert_eq!(to_bytes(refused.into_body(), 99).await.unwrap(), r#"{"message":"Too Many Requests"}"#);
        assert_eq!(meter.throttled(meter::Request::Rest), 1);
        let answered = r#"{"any":"json"}"#.len() as u64;
        assert_eq!(meter.usage(), meter::GatewayUsage { messages: 0, requests: 1, bytes_out: answered });
    }

    fn cors_of(origins: &[&str]) -> Cors {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Cors {
            origins: texts(origins),
            methods: texts(&["GET", "POST"]),
            headers: texts(&["authorization", "content-type"]),
            exposed: texts(&["etag", "retry-after"]),
            max_age: Some(7200),
            credentials: true,
        }
    }

    /// A header of a response, or nothing.
    fn header_of(response: &Response, name: header::HeaderName) -> String {
        response.headers().get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn only_pages_of_exactly_the_allowed_origins_may_read() {
        let cors = cors_of(&["https://a.example", "http://localhost:3000"]);
        let get = |origin| send(Some(cors.clone()), Request::get("/api/x").header(header::ORIGIN, origin));
        for origin in ["https://a.example", "http://localhost:3000"] {
            let response = get(origin).await;
            assert_eq!(header_of(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), origin);
            assert_eq!(header_of(&response, header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "true");
            assert_eq!(header_of(&response, header::ACCESS_CONTROL_EXPOSE_HEADERS), "etag,retry-after");
        }
        for origin in [
            "https://b.example",
            "http://a.example",
            "https://a.example:444",
            "https://a.example.org",
            "https://A.example",
            "http://localhost",
            "http://localhost:30000",
            "null",
            "*",
        ] {
            assert_eq!(header_of(&get(origin).await, header::ACCESS_CONTROL_ALLOW_ORIGIN), "", "{origin}");
        }
    }

    #[tokio::test]
    async fn a_preflight_is_answered_without_a_function() {
        let preflight = |origin, path: &str| {
            let request = Request::options(format!("/api{path}")).header(header::ORIGIN, origin);
            let request = request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
            send(Some(cors_of(&["https://a.example"])), request)
        };
        for path in ["/x", "/no/such/route"] {
            let response = preflight("https://a.example", path).await;
            assert!(response.status().is_success());
            assert_eq!(header_of(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), "https://a.example");
            assert_eq!(header_of(&response, header::ACCESS_CONTROL_ALLOW_METHODS), "GET,POST");
            assert_eq!(header_of(&response, header::ACCESS_CONTROL_ALLOW_HEADERS), "authorization,content-type");
            assert_eq!(header_of(&response, header::ACCESS_CONTROL_MAX_AGE), "7200");
        }
        let refused = preflight("https://b.example", "/x").await;
        assert_eq!(header_of(&refused, header::ACCESS_CONTROL_ALLOW_ORIGIN), "");
    }
}
