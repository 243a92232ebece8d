//! The dashboard at `/`, as it lies in the checkout, and what it is told of the system that it belongs to.

use std::{path::Path, time::Duration};

use axum::{
    Json, Router,
    extract::Request,
    handler::HandlerWithoutStateExt as _,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

use crate::{
    clock::now,
    page::STATUS,
    token::{DEFAULT_TENANT, Token},
};

/// Where the dashboard gets a token. Nothing of the kind is deployed: there, people bring a token of their own.
const TOKEN: &str = "/_local/token";

/// Short enough that a dashboard that is left open renews its token before lunch, so that renewing is seen to work.
const TOKEN_TTL: Duration = Duration::from_mins(15);

/// Scripts and styles from here and nowhere else; connections to wherever a dashboard is pointed at.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss: http: https:; \
    img-src 'self' data:; style-src 'self'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'self'";

/// What every page and file is sent with.
const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Serves the folders `dashboard` and `clients/js` of a checkout to the system on a port, `pages` beside them, and a
/// 404 for all that nobody else serves.
pub(crate) fn router(port: u16, checkout: &Path, pages: Router) -> Router {
    let config = json!({
        "url": format!("ws://localhost:{port}/ws"),
        "rest": format!("http://localhost:{port}/api"),
        "tokenUrl": TOKEN,
    });
    let client = ServeDir::new(checkout.join("clients/js")).fallback(nothing.into_service());
    // Requests of other methods are no business of files: what should have reached AWS is not found here.
    let dashboard = ServeDir::new(checkout.join("dashboard"))
        .call_fallback_on_method_not_allowed(true)
        .fallback(no_dashboard.into_service());
    let router = pages
        .route("/config.json", get(|| async { Json(config) }))
        .route(TOKEN, get(token))
        .nest_service("/clients/js", client)
        .fallback_service(dashboard)
        // What is being written is looked at anew each time.
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    HEADERS.into_iter().fold(router, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)))
    })
}

/// A fresh token for the page. Pages of other origins can ask for it, too, but no CORS header lets them read it; and one
/// whose name was made to point at this machine (DNS rebinding) asks by that name.
async fn token(headers: HeaderMap) -> Response {
    if !is_asked_here(&headers) {
        return (StatusCode::FORBIDDEN, "Tokens are handed out at localhost only\n").into_response();
    }
    let now = now();
    match Token::to_read(DEFAULT_TENANT, "dashboard", TOKEN_TTL).mint(now) {
        Ok(token) => {
            let body = Json(json!({ "token": token, "expiresAt": now.plus(TOKEN_TTL) }));
            ([(header::CACHE_CONTROL, "no-store")], body).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the one `Host` is this machine, by name or address.
fn is_asked_here(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().unwrap_or_default();
    let name = host.split_once(':').map_or(host, |(name, _port)| name);
    name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1"
}

/// A checkout may be without the dashboard; then `/` shows what the system does.
async fn no_dashboard(request: Request) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && request.uri().path() == "/" { STATUS.into_response() } else { nothing().await }
}

async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "Nothing is here. Start at /\n").into_response()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use auth::{KeySet, Verifier};
    use axum::body::{Body, to_bytes};
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;
    use crate::token::LOCAL_SECRET;

    /// A checkout with a dashboard and a client.
    fn checkout() -> tempfile::TempDir {
        let checkout = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("dashboard/index.html", "<h1>dashboard</h1>"),
            ("dashboard/style/page.css", "h1 {}"),
            ("clients/js/livefold.js", "export {}"),
            ("secret", "not for the web"),
        ] {
            let path = checkout.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        checkout
    }

    async fn send(checkout: &Path, request: axum::http::request::Builder) -> Response {
        let router = router(4000, checkout, Router::new());
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    async fn get(checkout: &Path, path: &str) -> (u16, String, String) {
        let response = send(checkout, Request::get(path)).await;
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, kind.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_folders_of_the_checkout_are_served() {
        let checkout = checkout();
        let found = |kind: &str, text: &str| (200, kind.to_owned(), text.to_owned());
        assert_eq!(get(checkout.path(), "/").await, found("text/html", "<h1>dashboard</h1>"));
        assert_eq!(get(checkout.path(), "/style/page.css").await, found("text/css", "h1 {}"));
        assert_eq!(get(checkout.path(), "/clients/js/livefold.js").await, found("text/javascript", "export {}"));
    }

    #[tokio::test]
    async fn nothing_else_of_the_checkout_is_served() {
        let checkout = checkout();
        for path in [
            "/secret",
            "/../secret",
            "/%2e%2e/secret",
            "/clients/js/../../secret",
            "/clients/js/%2e%2e%2f%2e%2e%2fsecret",
            "/clients/",
            "/dashboard/index.html",
        ] {
            let (status, _, body) = get(checkout.path(), path).await;
            assert_eq!((status, body.as_str()), (404, "Nothing is here. Start at /\n"), "{path}");
        }
        let posted = send(checkout.path(), Request::post("/_aws/")).await;
        assert_eq!(posted.status(), 404);
    }

    #[tokio::test]
    async fn without_a_dashboard_the_status_page_is_at_the_root() {
        let empty = tempfile::tempdir().unwrap();
        let (status, _, body) = get(empty.path(), "/").await;
        assert_eq!((status, body.as_str()), (200, STATUS.0));
        assert_eq!(get(empty.path(), "/index.html").await.0, 404);
    }

    #[tokio::test]
    async fn everything_carries_the_security_headers() {
        let checkout = checkout();
        for path in ["/", "/clients/js/livefold.js", "/clients/js/none.js", "/config.json", "/none", TOKEN] {
            let response = send(checkout.path(), Request::get(path).header(header::HOST, "localhost")).await;
            for (name, value) in HEADERS {
                assert_eq!(response.headers().get(&name).unwrap(), value, "{path} {name}");
            }
            assert!(response.headers().contains_key(header::CACHE_CONTROL), "{path}");
        }
    }

    #[tokio::test]
    async fn the_page_is_told_where_the_system_is() {
        let (_, kind, body) = get(checkout().path(), "/config.json").await;
        let expected =
            json!({"url": "ws://localhost:4000/ws", "rest": "http://localhost:4000/api", "tokenUrl": "/_local/token"});
        assert_eq!((kind.as_str(), serde_json::from_str::<Value>(&body).unwrap()), ("application/json", expected));
    }

    #[tokio::test]
    async fn the_page_gets_a_token_that_the_functions_accept() {
        let request = Request::get(TOKEN).header(header::HOST, "localhost:4000");
        let response = send(checkout().path(), request.header(header::ORIGIN, "http://localhost:4000")).await;
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let verifier = Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET]).unwrap(), None);
        let principal = verifier.verify(body["token"].as_str().unwrap(), now()).await.unwrap();
        assert_eq!((principal.tenant.as_str(), principal.permissions), ("acme", vec![auth::READ_LIVE.to_owned()]));
        let expires_at: projections::Timestamp = serde_json::from_value(body["expiresAt"].clone()).unwrap();
        assert!(expires_at > now() && expires_at <= principal.expires_at);
    }

    #[tokio::test]
    async fn a_token_is_handed_out_at_localhost_only() {
        let status = async |hosts: &[&str]| {
            let request = hosts.iter().fold(Request::get(TOKEN), |request, host| request.header(header::HOST, *host));
            send(Path::new("/nowhere"), request).await.status().as_u16()
        };
        for host in ["localhost", "localhost:4000", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:4000"] {
            assert_eq!(status(&[host]).await, 200, "{host}");
        }
        for host in
            ["", "example.com", "localhost.example.com:4000", "127.0.0.1.example.com", "192.0.2.1:4000", ":4000"]
        {
            assert_eq!(status(&[host]).await, 403, "{host}");
        }
        assert_eq!(status(&[]).await, 403);
        assert_eq!(status(&["localhost", "localhost"]).await, 403);
    }
}
